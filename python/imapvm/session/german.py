"""German texts of responses.

The `{}` of a text are values, in the order of the English one. Texts that are missing here
are sent in English; tests/session/test_languages.py lists those for which that is intended.
"""

from collections.abc import Mapping
from typing import Final

NAMESPACES: Final[Mapping[str, str]] = {
    "Other Users/": "Andere Benutzer/",
    "Shared/": "Gemeinsame Postfächer/",
}
"""Translations of the prefixes of namespaces (RFC 5255 section 3.4)."""

# fmt: off
TEXTS: Final[Mapping[str, str]] = {
    # success
    "{} completed": "{} ausgeführt",
    "imapvm ready": "imapvm bereit",
    "idling": "warte auf Änderungen",
    "ready for literal": "bereit für Literal",
    "in progress": "in Arbeit",
    "still here": "weiterhin verbunden",
    "logging out": "Abmeldung",
    "CONDSTORE enabled": "CONDSTORE eingeschaltet",
    "highest mod-sequence": "höchste Änderungsnummer",
    "mailbox id": "Kennung des Postfachs",
    "predicted next UID": "voraussichtlich nächste UID",
    "UIDs valid": "UIDs gültig",
    "first unseen message": "erste ungelesene Nachricht",
    "flags permitted": "erlaubte Markierungen",
    "messages moved": "Nachrichten verschoben",
    "replacement appended": "neue Fassung gespeichert",
    "previous mailbox closed": "vorheriges Postfach geschlossen",
    "rights have changed": "Rechte wurden geändert",
    # end of the connection
    "account was deleted": "Konto wurde gelöscht",
    "password was changed; log in again": "Passwort wurde geändert; bitte neu anmelden",
    "selected mailbox was deleted": "geöffnetes Postfach wurde gelöscht",
    "too many errors before login": "zu viele Fehler vor der Anmeldung",
    "more annotations have changed than are remembered; log in again":
        "mehr Anmerkungen geändert, als gemerkt werden; bitte neu anmelden",
    "internal error; see the server's log": "interner Fehler; siehe das Protokoll des Servers",
    "stored data is corrupt; see the server's log":
        "gespeicherte Daten sind beschädigt; siehe das Protokoll des Servers",
    "the filepool is closed": "der Datenspeicher ist geschlossen",
    # login
    "cannot STARTTLS: TLS is already in use": "STARTTLS nicht möglich: TLS ist schon aktiv",
    "cannot STARTTLS: the server has no certificate":
        "STARTTLS nicht möglich: der Server hat kein Zertifikat",
    "unknown mechanism {}": "unbekanntes Anmeldeverfahren {}",
    "cannot send a password without TLS": "Passwort ohne TLS nicht erlaubt",
    "wrong user name or password": "falscher Benutzername oder falsches Passwort",
    "cannot act for another user": "Handeln für andere Benutzer nicht erlaubt",
    "too many logins in progress; try again later":
        "zu viele gleichzeitige Anmeldungen; bitte später erneut versuchen",
    "AUTHENTICATE cancelled": "AUTHENTICATE abgebrochen",
    "name and password must not be empty": "Name und Passwort dürfen nicht leer sein",
    "name or password is too long": "Name oder Passwort ist zu lang",
    "name and password must not contain NUL": "Name und Passwort dürfen kein NUL enthalten",
    "name is not UTF-8": "Name ist nicht UTF-8",
    "name contains control characters": "Name enthält Steuerzeichen",
    "PLAIN requires authzid NUL authcid NUL password":
        "PLAIN verlangt authzid NUL authcid NUL Passwort",
    # state and form of commands
    "cannot {}: not authenticated": "{} nicht möglich: nicht angemeldet",
    "cannot {}: already authenticated": "{} nicht möglich: schon angemeldet",
    "cannot {}: no mailbox is selected": "{} nicht möglich: kein Postfach geöffnet",
    "cannot {}: a mailbox is selected": "{} nicht möglich: ein Postfach ist geöffnet",
    "cannot {}: UIDONLY is enabled; use UID {}":
        "{} nicht möglich: UIDONLY ist eingeschaltet; verwenden Sie UID {}",
    "cannot COMPRESS: DEFLATE is already active": "COMPRESS nicht möglich: DEFLATE ist schon aktiv",
    "cannot COMPRESS: commands follow before its response":
        "COMPRESS nicht möglich: Befehle folgen vor der Antwort",
    "cannot FETCH VANISHED before ENABLE QRESYNC":
        "FETCH VANISHED nicht möglich vor ENABLE QRESYNC",
    "cannot SELECT with QRESYNC before ENABLE QRESYNC":
        "SELECT mit QRESYNC nicht möglich vor ENABLE QRESYNC",
    "cannot SELECT with message sequence match data: UIDONLY is enabled":
        "SELECT mit Nachrichtennummern nicht möglich: UIDONLY ist eingeschaltet",
    "cannot LIST RECURSIVEMATCH without another selection option":
        "LIST RECURSIVEMATCH nicht möglich ohne eine weitere Auswahl",
    "cannot SAVE a search of other mailboxes than the selected one":
        "SAVE nicht möglich für andere Postfächer als das geöffnete",
    "cannot UIDBATCHES: the range of batches descends":
        "UIDBATCHES nicht möglich: der Bereich ist absteigend",
    "cannot UIDBATCHES: these ranges have been sent already":
        "UIDBATCHES nicht möglich: diese Bereiche wurden schon gesendet",
    "charset is not UTF-8, which UTF8=ACCEPT requires":
        "Zeichensatz ist nicht UTF-8, das UTF8=ACCEPT verlangt",
    "tag of a search with UPDATE is used again":
        "Kennung einer Suche mit UPDATE wird erneut verwendet",
    "unknown LIST option {}": "unbekannte LIST-Option {}",
    "unknown STATUS item {}": "unbekannte STATUS-Angabe {}",
    "unsupported language {}": "Sprache {} wird nicht unterstützt",
    "invalid language range {}": "ungültige Sprachangabe {}",
    "no comparator matches": "kein Vergleichsverfahren passt",
    "invalid comparator {}": "ungültiges Vergleichsverfahren {}",
    "unknown charset": "unbekannter Zeichensatz",
    "message numbers among the search keys: UIDONLY is enabled":
        "Nachrichtennummern in der Suche: UIDONLY ist eingeschaltet",
    # mailboxes
    "mailbox does not exist": "Postfach existiert nicht",
    "mailbox already exists": "Postfach existiert schon",
    "mailbox {} already exists": "Postfach {} existiert schon",
    "the recipient has no such mailbox": "der Empfänger hat kein solches Postfach",
    "permission denied": "keine Berechtigung",
    "mailbox is selected read-only": "Postfach ist nur zum Lesen geöffnet",
    "cannot delete INBOX": "INBOX kann nicht gelöscht werden",
    "INBOX cannot be deleted": "INBOX kann nicht gelöscht werden",
    "INBOX of another user cannot be renamed":
        "INBOX eines anderen Benutzers kann nicht umbenannt werden",
    "cannot delete a name with children": "ein Name mit Unterordnern kann nicht gelöscht werden",
    "cannot rename a mailbox to another account":
        "ein Postfach kann nicht in ein anderes Konto umbenannt werden",
    "a mailbox cannot be moved below itself":
        "ein Postfach kann nicht unter sich selbst verschoben werden",
    "an account has at most {} mailboxes and subscriptions":
        "ein Konto hat höchstens {} Postfächer und Abonnements",
    "too many mailboxes were created; try again in a few seconds":
        "zu viele Postfächer angelegt; bitte in einigen Sekunden erneut versuchen",
    "more than {} mailboxes to rename at once": "mehr als {} Postfächer auf einmal umzubenennen",
    "a mailbox cannot have the special use {}": "ein Postfach kann nicht die Rolle {} haben",
    "another mailbox has the special use {}": "ein anderes Postfach hat die Rolle {}",
    "a mailbox of another user cannot get a special use":
        "ein Postfach eines anderen Benutzers kann keine Rolle bekommen",
    "the mailbox has no UIDs left; copy its messages to a new mailbox":
        "das Postfach hat keine UIDs mehr; kopieren Sie die Nachrichten in ein neues Postfach",
    # sharing
    "the owner of a mailbox has all rights": "der Eigentümer eines Postfachs hat alle Rechte",
    "unknown identifier {}": "unbekannte Kennung {}",
    "identifier is not UTF-8": "Kennung ist nicht UTF-8",
    "a mailbox has at most {} entries in its ACL": "ein Postfach hat höchstens {} ACL-Einträge",
    "account does not exist": "Konto existiert nicht",
    "the filepool has no UIDVALIDITY left": "der Datenspeicher hat keine UIDVALIDITY mehr",
    # messages
    "message does not exist": "Nachricht existiert nicht",
    "no such message: the mailbox has {}": "keine solche Nachricht: das Postfach hat {}",
    "the message has been expunged": "die Nachricht wurde gelöscht",
    "some of the messages have been expunged": "einige der Nachrichten wurden gelöscht",
    "the text of the message has been removed": "der Text der Nachricht wurde entfernt",
    "unknown content transfer encoding": "unbekannte Transferkodierung",
    "message is larger than {} bytes": "Nachricht ist größer als {} Bytes",
    "a message has at most {} bytes": "eine Nachricht hat höchstens {} Bytes",
    "the message took too long to arrive": "die Nachricht kam zu langsam an",
    "the copies took too long": "das Kopieren dauerte zu lange",
    "APPEND cancelled by an empty message": "APPEND durch eine leere Nachricht abgebrochen",
    "cannot append UTF8 before ENABLE UTF8=ACCEPT": "UTF8 nicht möglich vor ENABLE UTF8=ACCEPT",
    "cannot resolve URL: {}": "URL nicht auflösbar: {}",
    "quota exceeded: {} is limited to {}": "Kontingent überschritten: {} ist auf {} begrenzt",
    "only the newest messages were processed": "nur die neuesten Nachrichten wurden bearbeitet",
    "more than {} messages in one command": "mehr als {} Nachrichten in einem Befehl",
    "more than {} messages to copy to another account":
        "mehr als {} Nachrichten in ein anderes Konto zu kopieren",
    "a keyword has at most {} bytes": "ein Schlagwort hat höchstens {} Bytes",
    "a message has at most {} keywords": "eine Nachricht hat höchstens {} Schlagwörter",
    "the keywords of a message have at most {} bytes":
        "die Schlagwörter einer Nachricht haben höchstens {} Bytes",
    "a mailbox has at most {} keywords": "ein Postfach hat höchstens {} Schlagwörter",
    # quotas and annotations
    "quota root does not exist": "Kontingent existiert nicht",
    "only an administrator can set a quota": "nur ein Administrator kann ein Kontingent setzen",
    "unknown quota resource": "unbekannte Art von Kontingent",
    "quota resource {} is named twice": "Kontingent {} ist doppelt angegeben",
    "an annotation has at most {} bytes": "eine Anmerkung hat höchstens {} Bytes",
    "an account has at most {} annotations": "ein Konto hat höchstens {} Anmerkungen",
    "a mailbox has at most {} annotations of one kind":
        "ein Postfach hat höchstens {} Anmerkungen einer Art",
    "cannot SETMETADATA: only an administrator can set shared annotations of the server":
        "SETMETADATA nicht möglich: nur ein Administrator kann gemeinsame Anmerkungen des "
        "Servers setzen",
    "cannot SETMETADATA: shared and private annotations of the server in one command":
        "SETMETADATA nicht möglich: gemeinsame und private Anmerkungen des Servers in einem Befehl",
    "cannot SETMETADATA: the annotation is in the configuration of the server":
        "SETMETADATA nicht möglich: die Anmerkung steht in der Konfiguration des Servers",
    # search
    "filter does not exist or cannot be used": "Filter existiert nicht oder ist unbrauchbar",
    "{} is not the keys of a SEARCH": "{} enthält keine Suche",
    "cannot sort: too many long keys": "Sortieren nicht möglich: zu viele lange Texte",
    "cannot ESEARCH: no mailbox is selected": "ESEARCH nicht möglich: kein Postfach geöffnet",
}
# fmt: on
"""English text → German text."""
