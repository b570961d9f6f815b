# Follow docs/operations.md in private namespaces: mounts, network, processes. Run by
# test_installation.py with bash, as root, in the directory of the tree. The package is the one in
# the tree instead of a new build, and `systemctl` starts the unit's command itself.
#
# SCRATCH   empty directory
# SITE      site-packages of the virtual environment of the tests
# TOOL      python of that environment
# BASE      prefix of the Python that the environment is made from
# BLOCKS    directory with the blocks of the handbook
set -eu
mount -t tmpfs tmpfs "$SCRATCH"
# The last one is for Python itself, which the user imapvm has to execute: the upper layer has mode 755.
for directory in $(printf '%s\n' etc var opt usr "$(echo "$BASE" | cut -d / -f 2)" | sort -u); do
    mkdir -p "$SCRATCH/$directory/upper" "$SCRATCH/$directory/work"
    mount -t overlay -o "lowerdir=/$directory,upperdir=$SCRATCH/$directory/upper,workdir=$SCRATCH/$directory/work" overlay "/$directory"
done
mkdir -p /backup
mount -t tmpfs tmpfs /backup
ip link set lo up

mkdir "$SCRATCH/bin"
cat > "$SCRATCH/bin/systemctl" <<'END'
#!/bin/bash
# The service manager, for these two units: environment and privileges as in imapvm.service.
set -eu
unit=/etc/systemd/system/imapvm.service
run=(setpriv --reuid=imapvm --regid=imapvm --init-groups --inh-caps=+net_bind_service
     --ambient-caps=+net_bind_service --bounding-set=-all,+net_bind_service --no-new-privs
     $(sed -n 's/^ExecStart=//p' $unit))
case "$*" in
daemon-reload) ;;
"enable --now imapvm.socket") touch "$SCRATCH/socket" ;;
"enable --now imapvm.service" | "start imapvm.service")
    if [ -e "$SCRATCH/socket" ]; then
        port=$(sed -n 's/^ListenStream=//p' /etc/systemd/system/imapvm.socket)
        run=(systemd-socket-activate -l "$port" --fdname=imap -- "${run[@]}")
    fi
    (umask 077; cd /; exec "${run[@]}" < /dev/null >> "$SCRATCH/log" 2>&1) &
    echo $! > "$SCRATCH/pid" ;;
"stop imapvm.service")
    kill "$(cat "$SCRATCH/pid")"
    while kill -0 "$(cat "$SCRATCH/pid")" 2> /dev/null; do sleep 0.1; done ;;
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
    printf '#!/bin/sh\nfor name in imapvm imapvm-smtpexit; do\n  sed "1s|.*|#!/opt/imapvm/.venv/bin/python3|" "%s/$name" > /opt/imapvm/.venv/bin/$name\n  chmod 755 /opt/imapvm/.venv/bin/$name\ndone\n' "$(dirname "$TOOL")" > /opt/imapvm/.venv/bin/pip
}

log_in() {
    "$TOOL" - <<'END' || { cat "$SCRATCH/log"; exit 1; }
import imaplib, time
for _ in range(100):
    try:
        client = imaplib.IMAP4("127.0.0.1", 143, timeout=30)
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
client.login("ada", "secret")
print("mailboxes:", len(client.list()[1]))
client.logout()
END
    echo "logged in: $1"
}

. "$BLOCKS/install-0"
. "$BLOCKS/install-1"
log_in "after the installation"
stat -c '%U %G %a %n' /var/lib/imapvm /var/spool/imapvm /var/lib/imapvm/filepool
test -f "$(sed -n "s,^Documentation=file:,,p" /etc/systemd/system/imapvm.service)"
if systemd-analyze verify /etc/systemd/system/imapvm.service 2>&1 | grep imapvm; then exit 1; fi
sh "$BLOCKS/backup"
sleep 1.1
sh "$BLOCKS/backup"
backup=$(ls -d /backup/imapvm-* | tail -1)
. "$BLOCKS/restore"
log_in "after the restore"
. "$BLOCKS/socket"
log_in "with socket activation"
if grep -E ' (warning|error|critical) |Traceback' "$SCRATCH/log"; then exit 1; fi
echo "handbook followed"
