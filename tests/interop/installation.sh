# Follow docs/operations.md in private namespaces: mounts, network, processes. Run by
# test_installation.py with bash, as root, in the directory of the tree. The package is the one in
# the tree instead of a new build, and `systemctl` starts the units' command itself.
#
# SCRATCH   empty directory
# SITE      site-packages of the virtual environment of the tests
# TOOL      python of that environment
# BASE      prefix of the Python that the environment is made from
# BLOCKS    directory with the blocks and commands of the handbook
# UNTIL     "installation": end after the first log-in
set -eu
mount -t tmpfs tmpfs "$SCRATCH"
# The last one is for Python itself, which the user imapvm has to execute: the upper layer has mode 755.
for directory in $(printf '%s\n' etc var opt usr "$(echo "$BASE" | cut -d / -f 2)" | sort -u); do
    mkdir -p "$SCRATCH/$directory/upper" "$SCRATCH/$directory/work"
    mount -t overlay -o "lowerdir=/$directory,upperdir=$SCRATCH/$directory/upper,workdir=$SCRATCH/$directory/work" overlay "/$directory"
done
for directory in /backup /run; do
    mkdir -p $directory
    mount -t tmpfs -o mode=755 tmpfs $directory
done
ip link set lo up
# A machine without imapvm.
rm -rf /etc/imapvm /var/lib/imapvm /var/spool/imapvm /opt/imapvm
if getent passwd imapvm > /dev/null; then userdel imapvm; fi

mkdir "$SCRATCH/bin"
cat > "$SCRATCH/bin/systemctl" <<'END'
#!/bin/bash
# The service manager, for these two units: user, directories, umask and capabilities as they say.
set -eu
unit=/etc/systemd/system/imapvm.service
value() { sed -n "s/^$1=//p" $unit; }
start() {
    user=$(value User) group=$(value Group)
    [ "$(value AmbientCapabilities) $(value CapabilityBoundingSet)" = \
        "CAP_NET_BIND_SERVICE CAP_NET_BIND_SERVICE" ]
    install -d -o "$user" -g "$group" -m "$(value StateDirectoryMode)" "/var/lib/$(value StateDirectory)"
    install -d -o "$user" -g "$group" -m "$(value RuntimeDirectoryMode)" "/run/$(value RuntimeDirectory)"
    [ -d "$(value ReadWritePaths)" ] # systemd does not start the unit without it
    run=(setpriv --reuid="$user" --regid="$group" --init-groups --inh-caps=+net_bind_service
         --ambient-caps=+net_bind_service --bounding-set=-all,+net_bind_service --no-new-privs
         $(value ExecStart))
    if [ -e "$SCRATCH/socket" ]; then
        port=$(sed -n 's/^ListenStream=//p' /etc/systemd/system/imapvm.socket)
        name=$(sed -n 's/^FileDescriptorName=//p' /etc/systemd/system/imapvm.socket)
        run=(systemd-socket-activate -l "$port" --fdname="$name" -- "${run[@]}")
    fi
    (
        umask "$(value UMask)"
        cd /
        "${run[@]}" < /dev/null >> "$SCRATCH/log" 2>&1 &
        echo $! > "$SCRATCH/pid"
        code=0
        wait $! || code=$?
        case " $(value RestartPreventExitStatus) 0 " in
        *" $code "*) echo "ended with $code" >> "$SCRATCH/exits" ;;
        *) echo "failed with $code" >> "$SCRATCH/exits" ;;
        esac
    ) > /dev/null 2>&1 &
    while ! [ -s "$SCRATCH/pid" ]; do sleep 0.05; done
}
case "$*" in
daemon-reload) ;;
"enable --now imapvm.socket") touch "$SCRATCH/socket" ;;
"enable --now imapvm.service" | "start imapvm.service") start ;;
"stop imapvm.service")
    kill "$(cat "$SCRATCH/pid")"
    while kill -0 "$(cat "$SCRATCH/pid")" 2> /dev/null; do sleep 0.1; done
    rm "$SCRATCH/pid" ;;
*) echo "unexpected: systemctl $*" >&2; exit 1 ;;
esac
END
chmod 755 "$SCRATCH/bin/systemctl"
export SCRATCH PATH="$SCRATCH/bin:$PATH"

python3() { # the command of the handbook, then the package
    command python3 "$@"
    [ "$*" = "-m venv /opt/imapvm/.venv" ] || return 0
    site=$(echo /opt/imapvm/.venv/lib/python3.*/site-packages)
    mkdir "$SCRATCH/upper" "$SCRATCH/work"
    mount -t overlay -o "lowerdir=$SITE,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" overlay "$site"
    mkdir "$site/imapvm"
    mount --bind python/imapvm "$site/imapvm"
    # `pip install` of the handbook only writes the commands.
    cat > /opt/imapvm/.venv/bin/pip <<END
#!/bin/sh
[ "\$*" = "install /path/to/this/tree" ] || exit 1
for name in imapvm imapvm-smtpexit; do
    sed "1s|.*|#!/opt/imapvm/.venv/bin/python3|" "$(dirname "$TOOL")/\$name" > "/opt/imapvm/.venv/bin/\$name"
    chmod 755 "/opt/imapvm/.venv/bin/\$name"
done
END
    chmod 755 /opt/imapvm/.venv/bin/pip
}

# log_in WHEN MESSAGES: log in as the user of the handbook, and wait for that number of messages.
log_in() {
    "$TOOL" - "$2" <<'END' || { cat "$SCRATCH/log"; exit 1; }
import imaplib, sys, time
for _ in range(100):
    try:
        client = imaplib.IMAP4("127.0.0.1", 143, timeout=30)
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
else:
    sys.exit("no server at port 143")
client.login("ada", "secret")
assert len(client.list()[1]) == 6
for _ in range(100):
    found = int(client.select("INBOX", readonly=True)[1][0])
    if found == int(sys.argv[1]):
        break
    time.sleep(0.1)
else:
    sys.exit(f"{found} messages in INBOX")
client.logout()
END
    echo "logged in: $1"
}

# fails_with TEXT COMMAND: run a command that fails, with a text in its output.
fails_with() {
    if "${@:2}" > "$SCRATCH/output" 2>&1; then echo "succeeded: ${*:2}"; exit 1; fi
    grep -F -- "$1" "$SCRATCH/output" || { cat "$SCRATCH/output"; exit 1; }
}

# ends_with TEXT: wait for the end of the service.
ends_with() {
    for _ in $(seq 100); do
        if [ "$(cat "$SCRATCH/exits" 2> /dev/null)" = "$1" ]; then break; fi
        sleep 0.1
    done
    [ "$(cat "$SCRATCH/exits")" = "$1" ] || { cat "$SCRATCH/exits" "$SCRATCH/log"; exit 1; }
    rm -f "$SCRATCH/exits" "$SCRATCH/pid"
}

stop() {
    systemctl stop imapvm.service
    ends_with "ended with 0"
}

deliver_by_lmtp() {
    runuser -u postfix -- /usr/bin/env -i "$TOOL" -c '
import smtplib, socket
class Unix(smtplib.LMTP):
    def connect(self, path, port=0, source_address=None):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.file = None
        return self.getreply()
with Unix("/run/imapvm/lmtp", local_hostname="postfix.example.org") as client:
    client.sendmail("eve@example.org", ["ada@example.org"], "Subject: LMTP\r\n\r\nhello\r\n")
'
}

. "$BLOCKS/install-0"
. "$BLOCKS/install-1"
log_in "after the installation" 0
stat -c '%U %G %a %n' /var/lib/imapvm /var/spool/imapvm /var/spool/imapvm/new /var/lib/imapvm/filepool
test -f "$(sed -n "s,^Documentation=file:,,p" /etc/systemd/system/imapvm.service)"
if systemd-analyze verify /etc/systemd/system/imapvm.service 2>&1 | grep imapvm; then exit 1; fi
if grep -E ' (warning|error|critical) |Traceback' "$SCRATCH/log"; then exit 1; fi
if [ "$UNTIL" = installation ]; then echo "handbook followed"; exit; fi

# Mail of root, such as that of its cron jobs.
printf 'Subject: cron\n\ndone\n' | imapvm-smtpexit -f root@example.org -- ada
log_in "with mail of root" 1

bash "$BLOCKS/backup"
sleep 1.1
bash "$BLOCKS/backup"
[ "$(ls /backup | wc -l)" = 2 ]
[ -z "$(find /backup -name '*.incomplete')" ]
[ -z "$(find /backup -mindepth 1 -perm /077)" ]
backup=$(ls -d /backup/imapvm-* | tail -1)
. "$BLOCKS/restore"
rm "$SCRATCH/exits"
log_in "after the restore" 1

# A mail system, with the unix socket and the step for its group.
useradd --system --shell /usr/sbin/nologin postfix 2> /dev/null || true
stop
sed -i 's|^lmtp = \[\]|lmtp = ["unix:/run/imapvm/lmtp"]|' /etc/imapvm/imapvm.toml
systemctl start imapvm.service
log_in "with LMTP" 1
stat -c '%U %G %a %n' /run/imapvm /run/imapvm/lmtp
fails_with "PermissionError" deliver_by_lmtp
. "$BLOCKS/group"
deliver_by_lmtp
log_in "with mail by LMTP" 2

. "$BLOCKS/socket"
rm "$SCRATCH/exits"
log_in "with socket activation" 2
if systemd-analyze verify /etc/systemd/system/imapvm.socket 2>&1 | grep imapvm; then exit 1; fi
stop
rm "$SCRATCH/socket"
if grep -E ' (warning|error|critical) |Traceback' "$SCRATCH/log"; then exit 1; fi

# Errors of an operator: started by root; run by root earlier; a wrong configuration.
fails_with "run imapvm as that user: runuser -u imapvm -- imapvm" imapvm serve --config /etc/imapvm/imapvm.toml
chown root:root /var/spool/imapvm/cur /var/spool/imapvm/attempts
systemctl start imapvm.service
ends_with "failed with 1"
[ "$(tail -n 1 "$SCRATCH/log" | cut -d ';' -f 1)" = "imapvm: cannot use spool /var/spool/imapvm as user imapvm: /var/spool/imapvm/cur belongs to user root" ]
sh -c "$(tail -n 1 "$SCRATCH/log" | sed 's/.*, as root: //')"
chown root:root /var/lib/imapvm/filepool/accounts/lock.mdb
systemctl start imapvm.service
ends_with "failed with 1"
sh -c "$(tail -n 1 "$SCRATCH/log" | sed 's/.*, as root: //')"
systemctl start imapvm.service
log_in "after the command that changes the owner" 2
stop
sed -i 's/^workers = 0/workers = 300/' /etc/imapvm/imapvm.toml
systemctl start imapvm.service
ends_with "ended with 78"
echo "handbook followed"
