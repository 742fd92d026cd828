import { expect, test } from "bun:test";
import { openSync } from "node:fs";
import { closeFd, libc, linux } from "../../net/libc.ts";
import { openListeningSocket } from "../../net/listening-socket.ts";
import { takeActivation } from "./activation.ts";

/** The next `fds` in a row, from a number that nobody has: as an activated program finds them from 3 on. */
const from = 200;

function place(fds: readonly number[]): void {
  fds.forEach((fd, index) => {
    expect(libc.dup2(fd, from + index)).toBe(from + index);
    closeFd(fd);
  });
}

test("sockets by name and address; what is none is told; the words are taken out of the environment", () => {
  const four = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 });
  const six = openListeningSocket({ kind: "tcp", host: "::1", port: 0 });
  const datagram = libc.socket(linux.AF_INET, linux.SOCK_DGRAM, 0);
  const bound = openListeningSocket({ kind: "tcp", host: "127.0.0.1", port: 0 }, { bindOnly: true });
  place([four.fd, six.fd, openSync("/dev/null", "r"), datagram, bound.fd]);
  const env: Record<string, string | undefined> = {
    LISTEN_PID: "42",
    LISTEN_FDS: "5",
    LISTEN_FDNAMES: "web:unknown:null:udp",
    HOME: "/",
  };
  try {
    const { sockets, problems } = takeActivation(env, 42, from);
    expect(sockets).toEqual([
      { listener: "web", host: "127.0.0.1", asked: -1, port: four.port, shared: false, fd: from },
      { listener: "unknown", host: "::1", asked: -1, port: six.port, shared: false, fd: from + 1 },
    ]);
    expect(problems).toEqual([
      "socket 3 that the service manager gave (null) is ENOTSOCK",
      "socket 4 that the service manager gave (udp) is no stream socket (ListenStream in systemd's words)",
      "socket 5 that the service manager gave (no name) does not listen",
    ]);
    expect(env).toEqual({ HOME: "/" });
    // None of them goes to a program that we start.
    expect(libc.fcntl(from, linux.F_GETFD, 0)).toBe(1);
  } finally {
    for (let index = 0; index < 5; index++) closeFd(from + index);
  }
});

test("meant for another process, or nothing: nothing is touched", () => {
  const none = { sockets: [], problems: [] };
  expect(takeActivation({}, 42, from)).toEqual(none);
  expect(takeActivation({ LISTEN_PID: "41", LISTEN_FDS: "1" }, 42, from)).toEqual(none);
  for (const count of ["0", "-1", "x", "1.5"]) {
    expect(takeActivation({ LISTEN_PID: "42", LISTEN_FDS: count }, 42, from)).toEqual(none);
  }
});
