// What an authority sees that looks by TLS whether a name is ours (RFC 8737), and that nobody else sees anything of it. Real
// handshakes with an engine in this process, since what is asked stays open as long as a test likes.
import { afterEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { echo } from "@plimsoll/testbed/scripts";
import { makeProof } from "../../../packages/balancer/src/control/certificate/make.ts";
import { tlsPlan } from "../../../packages/balancer/src/proxy/fixtures/plans.ts";
import type { ListenerTlsPlan } from "../../../packages/balancer/src/proxy/plan.ts";
import { testAuthority } from "../../../packages/testbed/src/authority.ts";
import { cleanUp } from "../control/running.ts";
import { withEngine } from "../proxy/engine-under-test.ts";
import type { PlanOptions } from "../proxy/plans.ts";
import { chopping } from "./stage.ts";

afterEach(cleanUp);

const authority = await testAuthority();
const day = 86_400_000;
const proof = await makeProof("shop.example", "token.thumb", {
  notBefore: Date.now() - day,
  notAfter: Date.now() + day,
});
const proofs = [{ name: "shop.example", ...proof }];
/** RFC 8737 §3: the extension with the hash of the key authorization, critical. */
const extension = `06082b0601050507011f0101ff04220420${createHash("sha256").update("token.thumb").digest("hex")}`;

async function showing(over: Partial<ListenerTlsPlan> = {}): Promise<ListenerTlsPlan> {
  const made = await authority.issue(["shop.example"]);
  return tlsPlan([{ ...made, certFile: "a.crt", keyFile: "a.key", names: ["shop.example"], kind: "ecdsa" }], over);
}

interface Seen {
  /** "usual", "proof", or the error's code. */
  readonly shown: string;
  readonly alpn: string;
  /** What came after the handshake, until the other side closed or a whole answer was there. */
  readonly text: string;
}

/** Shakes hands, asks for something, and looks what comes. */
function look(port: number, protocols: readonly string[], servername = "shop.example"): Promise<Seen> {
  return new Promise((resolve) => {
    let [shown, alpn, text] = ["", "", ""];
    const options = { host: "127.0.0.1", port, servername, rejectUnauthorized: false };
    const client: TLSSocket = connect({ ...options, ALPNProtocols: [...protocols] }, () => {
      shown = client.getPeerCertificate().raw.toString("hex").includes(extension) ? "proof" : "usual";
      alpn = client.alpnProtocol === false || client.alpnProtocol === null ? "" : client.alpnProtocol;
      if (alpn !== "acme-tls/1") client.write("GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
    });
    client.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
    client.on("error", (error: Error & { code?: string }) => {
      shown ||= error.code ?? error.message;
      client.destroy();
    });
    client.on("end", () => client.end());
    client.on("close", () => resolve({ shown, alpn, text: text.slice(0, 12) }));
  });
}

const refused = { shown: "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", alpn: "", text: "" };
const shown = { shown: "proof", alpn: "acme-tls/1", text: "" };
const served = (alpn: string) => ({ shown: "usual", alpn, text: "HTTP/1.1 200" });

test("only who offers acme-tls/1 alone, for that name, and only while it is asked", async () => {
  const tls = await showing();
  const plan = (open: PlanOptions["proofs"], pools: PlanOptions["pools"]): PlanOptions => ({
    listener: { tls },
    pools,
    ...(open !== undefined && { proofs: open }),
  });
  await withEngine(
    { app: echo() },
    ({ app }) => plan(undefined, { app: { endpoints: [app] } }),
    async (under) => {
      const { port } = under;
      const pools = { app: { endpoints: [under.origin()] } };
      expect(await look(port, ["acme-tls/1"])).toEqual(refused);
      under.commit(plan(proofs, pools));
      expect(await look(port, ["acme-tls/1"])).toEqual(shown);
      expect(await look(port, ["acme-tls/1"], "Shop.Example")).toEqual(shown);
      expect(await look(port, ["http/1.1"])).toEqual(served("http/1.1"));
      expect(await look(port, [])).toEqual(served(""));
      expect(await look(port, ["acme-tls/1", "http/1.1"])).toEqual(served("http/1.1"));
      expect(await look(port, ["acme-tls/1"], "other.example")).toEqual(refused);
      const relay = await chopping(port, [], 1);
      expect(await look(relay, ["acme-tls/1"])).toEqual(shown);
      expect(await look(relay, ["http/1.1"])).toEqual(served("http/1.1"));
      under.commit(plan(undefined, pools));
      expect(await look(port, ["acme-tls/1"])).toEqual(refused);
      expect(await look(port, ["http/1.1"])).toEqual(served("http/1.1"));
      // The relay's sockets would else count as left behind.
      await cleanUp();
    },
  );
});

test("a listener that asks everybody for a certificate, and for a name that it knows, does not ask the authority", async () => {
  const tls = await showing({
    clientCertificates: "required",
    ca: { file: "ca.pem", pem: authority.cert },
    strictSni: true,
    certificates: (await showing()).certificates.map((each) => ({ ...each, names: ["known.example"] })),
  });
  const planned = { listener: { tls, proxyProtocol: "accept", trustedProxies: ["127.0.0.1/32"] }, proofs } as const;
  await withEngine(
    { app: echo() },
    ({ app }) => ({ ...planned, pools: { app: { endpoints: [app] } } }),
    async (under) => {
      expect(await look(under.port, ["acme-tls/1"])).toEqual(shown);
      const header = ["PROXY TCP4 203.0.113.5 ", "198.51.100.1 4711 443\r\n"];
      expect(await look(await chopping(under.port, header, 5), ["acme-tls/1"])).toEqual(shown);
      expect((await look(under.port, ["http/1.1"], "known.example")).text).toBe("");
      expect((await look(under.port, ["http/1.1"])).shown).not.toBe("usual");
      await cleanUp();
    },
  );
});
