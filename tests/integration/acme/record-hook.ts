// What `acme.hook.command` would be, for the DNS beside Pebble: bun record-hook.ts <its address> <log> present|cleanup
import { appendFileSync } from "node:fs";

const [address = "", log = "", action = ""] = process.argv.slice(2);
const { PLIMSOLL_ACME_NAME: name = "", PLIMSOLL_ACME_VALUE: value = "" } = process.env;
appendFileSync(log, `${action} ${name}\n`);
const host = `${name}.`;
const [command, record] = action === "present" ? ["set-txt", { host, value }] : ["clear-txt", { host }];
const answer = await fetch(`${address}/${command}`, { method: "POST", body: JSON.stringify(record) });
if (!answer.ok) throw new Error(`the record was refused: ${answer.status}`);
