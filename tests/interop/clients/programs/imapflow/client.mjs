// imapflow: QRESYNC, flags, MOVE, expunges with UIDs, and IDLE. Prints what it received as JSON.
// Arguments: host, port, user, password.
import { once } from 'node:events'
import { ImapFlow } from 'imapflow'

const [host, port, user, pass] = process.argv.slice(2)

function make() {
    return new ImapFlow({ host, port, secure: false, doSTARTTLS: false, auth: { user, pass }, qresync: true, logger: false })
}

function raw(subject) {
    return `From: <a@example.org>\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@example.org>\r\n\r\nText.\r\n`
}

const found = {}
const other = make()
await other.connect()
for (const subject of ['one', 'two', 'three']) await other.append('INBOX', raw(subject))

const client = make()
const expunged = []
client.on('expunge', event => expunged.push({ uid: event.uid, vanished: event.vanished }))
await client.connect()
found.enabled = [...client.enabled].sort()
const mailbox = await client.mailboxOpen('INBOX')
found.exists = mailbox.exists
found.condstore = typeof mailbox.highestModseq === 'bigint'
const before = mailbox.highestModseq

await client.messageFlagsAdd('2', ['\\Flagged', '$Label'], { uid: true })
found.changed = []
for await (const message of client.fetch('1:*', { uid: true, flags: true }, { uid: true, changedSince: before })) {
    found.changed.push([message.uid, [...message.flags].sort()])
}
found.search = await client.search({ flagged: true, subject: 'TWO' }, { uid: true })
await client.mailboxCreate('Proyecto/Año')
const moved = await client.messageMove('1', 'Proyecto/Año', { uid: true })
found.moved = [...moved.uidMap]
found.status = await client.status('Proyecto/Año', { messages: true, unseen: true, highestModseq: true })
found.status.highestModseq = typeof found.status.highestModseq

// IDLE: another client adds a message, then deletes one.
const idle = client.idle()
const arrived = once(client, 'exists')
await other.append('INBOX', raw('four'))
found.arrived = (await arrived)[0].count
expunged.length = 0
const gone = once(client, 'expunge')
await other.mailboxOpen('INBOX')
await other.messageDelete('3', { uid: true })
await gone
await client.noop()
await idle
found.expunged = expunged

// A client that returns gets the changes since its last MODSEQ.
const vanished = []
const later = make()
later.on('expunge', event => vanished.push(event.uid))
const since = client.mailbox.highestModseq
await other.messageDelete('2', { uid: true })
await later.connect()
await later.mailboxOpen('INBOX', { changedSince: since, uidValidity: client.mailbox.uidValidity })
found.vanished = vanished
found.last = (await later.fetchOne('*', { envelope: true })).envelope.subject
if (await later.getQuota('INBOX').catch(() => false)) found.quota = true
await Promise.all([client.logout(), other.logout(), later.logout()])
console.log(JSON.stringify(found))
