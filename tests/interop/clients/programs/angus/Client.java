// Jakarta Mail (Angus Mail): COMPRESS, SortTerm, SEARCH, MOVE, quota and IdleManager. Prints what it
// received, one `name=value` a line. Arguments: host, port, user, password.

import jakarta.mail.Flags;
import jakarta.mail.Folder;
import jakarta.mail.Message;
import jakarta.mail.Session;
import jakarta.mail.Store;
import jakarta.mail.event.MessageCountAdapter;
import jakarta.mail.event.MessageCountEvent;
import jakarta.mail.internet.MimeMessage;
import jakarta.mail.search.FlagTerm;
import jakarta.mail.search.SearchTerm;
import jakarta.mail.search.SubjectTerm;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.eclipse.angus.mail.imap.IMAPFolder;
import org.eclipse.angus.mail.imap.IMAPStore;
import org.eclipse.angus.mail.imap.IdleManager;
import org.eclipse.angus.mail.imap.SortTerm;

public class Client {
    static String host, user, password;
    static int port;
    static Session session; // with COMPRESS

    public static void main(String[] arguments) throws Exception {
        host = arguments[0];
        port = Integer.parseInt(arguments[1]);
        user = arguments[2];
        password = arguments[3];
        session = session("mail.imap.compress.enable");

        IMAPStore other = open(session);
        add(other, "beta", "été");
        add(other, "alpha", "Łódź");
        add(other, "gamma", "summer");

        IMAPStore store = open(session);
        IMAPFolder inbox = (IMAPFolder) store.getFolder("INBOX");
        inbox.open(Folder.READ_WRITE);
        print("compress", store.hasCapability("COMPRESS=DEFLATE"));
        print("exists", inbox.getMessageCount());
        Message[] sorted = inbox.getSortedMessages(new SortTerm[] {SortTerm.REVERSE, SortTerm.FROM});
        List<Long> uids = new ArrayList<>();
        for (Message message : sorted) uids.add(inbox.getUID(message));
        print("sort", uids);

        inbox.getMessage(1).setFlag(Flags.Flag.FLAGGED, true);
        print("flagged", count(inbox, new FlagTerm(new Flags(Flags.Flag.FLAGGED), true)));
        print("latin1", count(inbox, new SubjectTerm("ÉTÉ")));
        print("ascii", count(inbox, new SubjectTerm("Summer")));

        IMAPFolder archive = (IMAPFolder) store.getFolder("Proyecto/Año");
        archive.create(Folder.HOLDS_MESSAGES);
        inbox.moveUIDMessages(new Message[] {inbox.getMessage(1)}, archive);
        print("moved", archive.getMessageCount());
        print("quota", store.hasCapability("QUOTA") ? store.getQuota("INBOX").length : -1);

        print("arrived", idle(other));
        store.close();
        other.close();
    }

    /** Return the number of a message that arrives during IDLE. */
    static Integer idle(IMAPStore other) throws Exception {
        // Without COMPRESS: IdleManager waits for a whole response when the inflater has input.
        Session plain = session("mail.imap.usesocketchannels");
        IMAPStore store = open(plain);
        IMAPFolder inbox = (IMAPFolder) store.getFolder("INBOX");
        inbox.open(Folder.READ_ONLY);
        BlockingQueue<Integer> arrived = new ArrayBlockingQueue<>(8);
        inbox.addMessageCountListener(new MessageCountAdapter() {
            @Override
            public void messagesAdded(MessageCountEvent event) {
                arrived.add(event.getMessages()[0].getMessageNumber());
            }
        });
        ExecutorService threads = Executors.newCachedThreadPool();
        IdleManager manager = new IdleManager(plain, threads);
        manager.watch(inbox);
        add(other, "delta", "idle");
        Integer number = arrived.poll(20, TimeUnit.SECONDS);
        inbox.close(false); // ends IDLE, for which the manager has to run
        manager.stop();
        threads.shutdown();
        store.close();
        return number;
    }

    static Session session(String option) {
        Properties properties = new Properties();
        properties.put(option, "true");
        properties.put("mail.imap.connectiontimeout", "20000");
        properties.put("mail.imap.timeout", "20000");
        return Session.getInstance(properties);
    }

    static IMAPStore open(Session session) throws Exception {
        Store store = session.getStore("imap");
        store.connect(host, port, user, password);
        return (IMAPStore) store;
    }

    static void add(IMAPStore store, String from, String subject) throws Exception {
        MimeMessage message = new MimeMessage(session);
        message.setFrom(from + "@example.org");
        message.setSubject(subject, "UTF-8");
        message.setText("text");
        store.getFolder("INBOX").appendMessages(new Message[] {message});
    }

    static int count(IMAPFolder folder, SearchTerm term) throws Exception {
        return folder.search(term).length;
    }

    static void print(String name, Object value) {
        System.out.println(name + "=" + value);
    }
}
