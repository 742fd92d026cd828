// up/: the machine, the traffic and the terminal for `up` and `demo`; the thinking is in the balancer's control/app.
// It must not know what is to be started, replaced or stopped when: the process manager says so.

// This file ends the instances when this program is killed without a chance to do it itself (kill -9, out of memory).
//
// Linux could do it by PR_SET_PDEATHSIG, but that must be called between fork and exec, and reaches only the direct child,
// not what `npm start` starts. So a tiny shell waits at a pipe: each line on it adds (+) or removes (-) a process group, and
// when the pipe ends without having been told "done", its writer has died and the groups are ended.

/** Reads the pipe to its end, then SIGTERM to what is left, SIGKILL after `$1` seconds. Plain POSIX shell. */
const script = `
trap '' INT TERM HUP QUIT
patience=$1
mark=$2
groups=' '
# What has left its group has the mark in its environment.
marked() {
  for environ in /proc/[0-9]*/environ; do
    grep -qF "$mark" "$environ" 2>/dev/null || continue
    environ=\${environ#/proc/}
    echo "\${environ%/environ}"
  done
}
while read -r word group; do
  case $word in
    +) groups="$groups$group " ;;
    -) groups="\${groups%% $group *} \${groups#* $group }" ;;
    done) exit 0 ;;
  esac
done
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null; done
for pid in $(marked); do kill -s TERM "$pid" 2>/dev/null; done
waited=0
while [ "$waited" -lt "$patience" ]; do
  alive=$(marked)
  for group in $groups; do kill -s 0 -- "-$group" 2>/dev/null && alive=yes; done
  [ -z "$alive" ] && exit 0
  sleep 1
  waited=$((waited + 1))
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
for pid in $(marked); do kill -s KILL "$pid" 2>/dev/null; done
`;

/** A watcher process. Where there is no /bin/sh there is no guard, and nothing else is different. */
export interface Guard {
  add(group: number): void;
  remove(group: number): void;
  /** All is over in order; the watcher goes without ending anything. */
  done(): void;
}

/**
 * Starts a watcher that gives groups, and what has `mark` ("NAME=value") in its environment, `grace` ms between SIGTERM and
 * SIGKILL.
 */
export function startGuard(grace: number, mark: string): Guard {
  try {
    const watcher = Bun.spawn(["/bin/sh", "-c", script, "plimsoll-guard", String(Math.ceil(grace / 1000)), mark], {
      stdin: "pipe",
      stdout: "ignore",
      stderr: "ignore",
      // A session of its own, so that Ctrl-C and a closing terminal do not reach it.
      detached: true,
    });
    watcher.unref();
    const tell = (line: string): void => {
      void watcher.stdin.write(line);
      void watcher.stdin.flush();
    };
    return {
      add: (group) => tell(`+ ${group}\n`),
      remove: (group) => tell(`- ${group}\n`),
      done: () => {
        tell("done\n");
        void watcher.stdin.end();
      },
    };
  } catch {
    return { add: nothing, remove: nothing, done: nothing };
  }
}

function nothing(): void {}
