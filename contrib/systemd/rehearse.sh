#!/bin/bash
# Runs the units of this folder under a systemd of their own, and prints what systemd says of each step: start, reload, upgrade, a
# killed program, the watchdog, stop, sockets from systemd. docs/operating.md has what it printed.
#
#   npm run build && sudo contrib/systemd/rehearse.sh dist/plimsoll
#
# Needs: systemd, curl, python3, overlayfs, cgroup2, and the right to make namespaces (CAP_SYS_ADMIN, which an ordinary container does not
# have). The root file system is seen through an overlay in memory and the network is one of its own: nothing of the machine changes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

outer() { # a control group and namespaces of its own; what is left in them ends with it
  program=$(realpath "$1")
  cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
  group=$cgroups/plimsoll-rehearsal-$$
  empty=$(mktemp -d)
  mkdir "$group"
  trap 'cd /; for pid in $(find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null); do [ "$pid" = $$ ] || kill -9 "$pid" 2>/dev/null || true; done
    rmdir "$empty"; echo $$ > "$cgroups/cgroup.procs"; sleep 0.5; find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true' EXIT
  echo $$ > "$group/cgroup.procs"
  # It ends with process 1, which is killed: that is how such a machine is turned off.
  unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child "$here/rehearse.sh" --inside "$program" "$empty" || true
}

inside() { # a root, units, and systemd as process 1
  local root name memory=$2
  mount --make-rprivate /
  mount -t tmpfs tmpfs "$memory"
  root=$memory/root
  mkdir "$memory/upper" "$memory/work" "$root"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$memory/upper,workdir=$memory/work" "$root"
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  for name in run tmp; do mount -t tmpfs tmpfs "$root/$name"; done
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/dev/shm"
  ip link set lo up
  install -m 755 "$1" "$root/usr/local/bin/plimsoll"
  chroot "$root" useradd --system --no-create-home plimsoll
  mkdir -p "$root/units/plimsoll.service.d" "$root/etc/plimsoll"
  cp "$here/plimsoll.service" "$here/plimsoll.socket" "$root/units/"
  # Whatever these units want of a machine is there. Its own units are not seen.
  for name in sysinit basic sockets shutdown network-online multi-user; do
    printf '[Unit]\nDefaultDependencies=no\n' > "$root/units/$name.target"
  done
  printf '[Unit]\nDefaultDependencies=no\nWants=rehearsal.service\n' > "$root/units/rehearsal.target"
  printf '[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nTimeoutStartSec=infinity\nStandardOutput=file:/said\nStandardError=inherit\nExecStart=/bin/bash /rehearse.sh --steps\n' > "$root/units/rehearsal.service"
  # There is no journal, and a watchdog of 20 s is long to wait for.
  printf '[Service]\nStandardOutput=append:/log\nStandardError=append:/log\nWatchdogSec=5\n' > "$root/units/plimsoll.service.d/rehearsal.conf"
  cp "$here/rehearse.sh" "$root/rehearse.sh"
  : > "$root/said"
  : > "$root/etc/machine-id"
  tail -n +1 -F "$root/said" 2>/dev/null &
  exec env -i container=rehearsal PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH=/units SYSTEMD_LOG_TARGET=null \
    chroot "$root" /lib/systemd/systemd --system --unit=rehearsal.target --show-status=no
}

main_pid() { systemctl show plimsoll -p MainPID --value; }
step() { printf '\n%s\n' "$*"; }
state() { printf '  %s\n' "$(systemctl show plimsoll -p ActiveState -p MainPID -p NRestarts -p StatusText | tr '\n' ' ')"; }
as_user() { su -s /bin/sh plimsoll -c "XDG_RUNTIME_DIR=/run/plimsoll plimsoll $*" 2>&1 | sed 's/^/  /' || true; }
another() { # waits until another process than $1 is the main one, and the unit is active
  for _ in $(seq 300); do
    [ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ] && systemctl is-active -q plimsoll && return
    sleep 0.1
  done
  echo "  waited in vain"
}
load() { # new connections, one after the other, four at a time
  for _ in 1 2 3 4; do
    while [ ! -e /run/enough ]; do curl -s -o /dev/null -m 30 -w '%{http_code} %{exitcode}\n' http://127.0.0.1/here || true; done >> /run/answers &
  done
  sleep 0.5
}
unload() {
  touch /run/enough
  sleep 1.5
  sort /run/answers | uniq -c | sed 's/^ */  answers (count, status, exit code of curl): /'
  rm /run/enough /run/answers
}

steps() {
  local before
  set +e
  cat > /etc/plimsoll/plimsoll.yaml <<'YAML'
listeners:
  web: { address: 127.0.0.1:80, routes: [{ match: { path: /here }, respond: { status: 200, body: here } }, { pool: app }] }
pools:
  app: { endpoints: ["127.0.0.1:3000"], readiness: off }
admin: { address: 127.0.0.1:9090 }
shutdown: { lag: 0s, window: 10s }
YAML
  python3 -c '
import http.server, time
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(3); self.send_response(200); self.send_header("content-length", "5"); self.end_headers(); self.wfile.write(b"slow\n")
http.server.ThreadingHTTPServer(("127.0.0.1", 3000), Slow).serve_forever()' 2> /dev/null &
  systemctl --version | head -1
  step "start"; systemctl start plimsoll; echo "  exit code $?"; state
  load
  step "reload"; systemctl reload plimsoll; echo "  exit code $?"; sleep 1; state
  step "reload, and an upgrade, with a broken configuration"; cp /etc/plimsoll/plimsoll.yaml /run/good; echo "listeners: 3" > /etc/plimsoll/plimsoll.yaml
  systemctl reload plimsoll; sleep 1; systemctl kill --kill-whom=main -s SIGUSR2 plimsoll; sleep 3; state
  cp /run/good /etc/plimsoll/plimsoll.yaml
  step "upgrade by SIGUSR2"; before=$(main_pid); systemctl kill --kill-whom=main -s SIGUSR2 plimsoll; another "$before"; sleep 1; state
  step "plimsoll upgrade --wait"; as_user upgrade --wait; state
  unload
  step "the new main process is killed right after an upgrade"; as_user upgrade; before=$(main_pid); kill -9 "$before"; another "$before"; state
  step "all workers stand still: the watchdog"; before=$(main_pid); pkill -STOP -P "$before"; another "$before"; state
  step "stop, with a request in flight"; curl -s -m 30 http://127.0.0.1/slow | sed 's/^/  answered: /' & sleep 0.5; systemctl stop plimsoll; echo "  exit code $?"; sleep 0.5; state
  step "socket from systemd: the first connection starts the service"; sed -i 's/127.0.0.1:80,/0.0.0.0:80,/' /etc/plimsoll/plimsoll.yaml
  systemctl start plimsoll.socket; state; curl -s -m 30 http://127.0.0.1/here | sed 's/^/  answered: /'; echo; state
  load
  step "upgrade, restart, then the program killed, under load"; as_user upgrade --wait; systemctl restart plimsoll; state
  before=$(main_pid); kill -9 "$before"; another "$before"; state
  unload
  step "stop all"; systemctl stop plimsoll.socket plimsoll; echo "  exit code $?"; state
  sleep 0.5
  systemctl poweroff -ff
}

case ${1:-} in
  --inside) inside "$2" "$3" ;;
  --steps) steps ;;
  *) outer "${1:?say which executable: dist/plimsoll}" ;;
esac
