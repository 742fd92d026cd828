// Every way of sticking by its name. A new one is one file and one line here; the contract suite finds it.
import type { StickName } from "../plan.ts";
import { appCookie } from "./app-cookie.ts";
import { cookie } from "./cookie.ts";
import { header } from "./header.ts";
import { source } from "./source.ts";
import type { StickKind } from "./stick.ts";

export const sticks: Readonly<Record<StickName, StickKind>> = { cookie, appCookie, header, source };
