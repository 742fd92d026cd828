import { expect, test } from "bun:test";
import { listeningSockets, processStat, socketInode } from "./listening-ports.ts";

const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 41001 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:A0B2 01 00000000:00000000 00:00000000 00000000  1000        0 41002 1 0000000000000000 20 4 30 10 -1
   2: broken
`;
const tcp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41003 1 0000000000000000 100 0 0 10 0
`;

test("finds listening sockets, and only those", () => {
  expect([...listeningSockets(tcp)]).toEqual([["41001", 8080]]);
  expect([...listeningSockets(tcp6)]).toEqual([["41003", 3000]]);
  expect(listeningSockets("").size).toBe(0);
});

test("reads what a descriptor points to", () => {
  expect(socketInode("socket:[41001]")).toBe("41001");
  expect(socketInode("/dev/null")).toBe("");
  expect(socketInode("pipe:[41001]")).toBe("");
});

test("reads group and state, also of a process with an awkward name", () => {
  expect(processStat("77 (node) S 1 77 77 0 -1")).toEqual({ state: "S", group: 77 });
  expect(processStat("78 (a) R 9 9 (b)) Z 1 70 70 0 -1")).toEqual({ state: "Z", group: 70 });
  expect(processStat("")).toBeNull();
});
