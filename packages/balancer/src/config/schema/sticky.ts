// Stickiness by cookie: accepted in full, so that files can be written ahead, and refused until it exists.
import { z } from "zod";
import { parseCookieName } from "../header-rules.ts";
import { duration, notYet, oneOf, shorthand, text, written } from "./leaf.ts";

export const stickySchema = shorthand(
  "cookie",
  z.strictObject({
    cookie: written({ noun: "a cookie name", hint: "write plimsoll" }, parseCookieName).describe("Name of the cookie."),
    maxAge: duration().describe("How long it holds; otherwise until the browser closes.").optional(),
    sameSite: oneOf(["lax", "strict", "none"]).default("lax").describe("Its SameSite attribute."),
    secret: text("a secret").describe("Key that signs it, the same on every balancer.").optional(),
  }),
)
  .describe("Keeps each client at its endpoint.")
  .register(notYet, { severity: "error", will: "a signed cookie will keep each client at its endpoint" });
