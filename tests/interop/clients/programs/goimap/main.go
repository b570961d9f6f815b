// go-imap v2: SORT, THREAD, CONDSTORE, MOVE, ESEARCH and IDLE. Prints what it received as JSON.
// Arguments: address, user, password.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func open(exists chan uint32) *imapclient.Client {
	options := &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil && exists != nil {
				exists <- *data.NumMessages
			}
		},
	}}
	client := must(imapclient.DialInsecure(os.Args[1], options))
	check(client.Login(os.Args[2], os.Args[3]).Wait())
	return client
}

func add(client *imapclient.Client, subject, reference string) {
	text := fmt.Sprintf("Subject: %s\r\nMessage-ID: <%s@x>\r\n", subject, subject)
	if reference != "" {
		text += fmt.Sprintf("References: <%s@x>\r\n", reference)
	}
	text += "\r\ntext\r\n"
	command := client.Append("INBOX", int64(len(text)), nil)
	must(command.Write([]byte(text)))
	check(command.Close())
	must(command.Wait())
}

func main() {
	found := map[string]any{}
	other := open(nil)
	add(other, "beta", "")
	add(other, "alpha", "")
	add(other, "gamma", "beta")

	exists := make(chan uint32, 8)
	client := open(exists)
	selected := must(client.Select("INBOX", &imap.SelectOptions{CondStore: true}).Wait())
	found["exists"] = selected.NumMessages
	found["modseq"] = selected.HighestModSeq > 0

	all := &imap.SearchCriteria{}
	found["sort"] = must(client.UIDSort(&imapclient.SortOptions{
		SearchCriteria: all,
		SortCriteria:   []imapclient.SortCriterion{{Key: imapclient.SortKeySubject, Reverse: true}},
	}).Wait())
	threads := must(client.UIDThread(&imapclient.ThreadOptions{
		Algorithm: imap.ThreadReferences, SearchCriteria: all,
	}).Wait())
	chains := [][]uint32{}
	for _, thread := range threads {
		chains = append(chains, thread.Chain)
	}
	found["thread"] = chains

	flags := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged}}
	check(client.Store(imap.UIDSetNum(2), flags, nil).Close())
	changed := must(client.Fetch(imap.UIDSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{
		Flags: true, UID: true, ModSeq: true, ChangedSince: selected.HighestModSeq,
	}).Collect())
	uids := []imap.UID{}
	for _, message := range changed {
		uids = append(uids, message.UID)
	}
	found["changed"] = uids
	// Adding \Answered would not be refused: \Flagged has changed, \Answered has not.
	stale := &imap.StoreOptions{UnchangedSince: selected.HighestModSeq}
	answered := &imap.StoreFlags{Op: imap.StoreFlagsSet, Flags: []imap.Flag{imap.FlagAnswered}}
	check(client.Store(imap.UIDSetNum(2), answered, stale).Close())
	after := must(client.Search(&imap.SearchCriteria{Flag: []imap.Flag{imap.FlagAnswered}}, nil).Wait())
	found["answered"] = len(after.AllSeqNums())

	counted := must(client.UIDSearch(&imap.SearchCriteria{Flag: []imap.Flag{imap.FlagFlagged}},
		&imap.SearchOptions{ReturnCount: true, ReturnMin: true}).Wait())
	found["count"], found["min"] = counted.Count, counted.Min

	check(client.Create("Proyecto/Año", nil).Wait())
	move := must(client.Move(imap.UIDSetNum(1), "Proyecto/Año").Wait())
	found["moved"] = move.DestUIDs.String()
	status := must(client.Status("Proyecto/Año", &imap.StatusOptions{NumMessages: true, Size: true}).Wait())
	found["size"] = *status.Size > 0 && *status.NumMessages == 1
	if client.Caps().Has(imap.CapQuota) {
		found["quota"] = len(must(client.GetQuotaRoot("INBOX").Wait())) > 0
	}

	for len(exists) > 0 {
		<-exists
	}
	idle := must(client.Idle())
	add(other, "delta", "")
	select {
	case found["arrived"] = <-exists:
	case <-time.After(10 * time.Second):
		check(fmt.Errorf("no EXISTS within ten seconds"))
	}
	check(idle.Close())
	check(idle.Wait())
	check(client.Logout().Wait())
	check(other.Logout().Wait())
	check(json.NewEncoder(os.Stdout).Encode(found))
}
