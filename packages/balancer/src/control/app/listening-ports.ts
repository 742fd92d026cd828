// Reads the kernel's tables of TCP sockets, to say on which port an application listens when it is not the one it was given.

/** State LISTEN in /proc/net/tcp. */
const listenState = "0A";

/**
 * Local port by socket inode, of all listening sockets in the text of /proc/net/tcp or /proc/net/tcp6. Lines that are
 * malformed are passed over.
 */
export function listeningSockets(table: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of table.split("\n")) {
    const fields = line.trim().split(/\s+/);
    const [, local, , state, , , , , , inode] = fields;
    if (state !== listenState || local === undefined || inode === undefined) continue;
    const port = Number.parseInt(local.slice(local.lastIndexOf(":") + 1), 16);
    if (port > 0) found.set(inode, port);
  }
  return found;
}

/** The inode in what a descriptor in /proc/<pid>/fd points to ("socket:[4711]"), or "" for anything else. */
export function socketInode(target: string): string {
  return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? "";
}

/** What /proc/<pid>/stat tells: process group and state. null when malformed. The name may hold spaces and brackets. */
export function processStat(text: string): { readonly state: string; readonly group: number } | null {
  const rest = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, , group] = rest;
  return state === undefined || group === undefined ? null : { state, group: Number(group) };
}
