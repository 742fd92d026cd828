// cert/: certificates for development, and the authority of this machine that issues them.
// It must not know a running balancer. Here: what to do with the files, in words that can be copied.

/** How an authority is made known to one kind of program: command lines, or a sentence. */
export interface Trust {
  readonly who: string;
  readonly how: readonly string[];
}

/** Lines for each kind of program on this platform. */
export function trustAdvice(file: string, platform: string): Trust[] {
  const path = quoted(file);
  const system =
    platform === "darwin"
      ? [`sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${path}`]
      : [
          `sudo cp ${path} /usr/local/share/ca-certificates/plimsoll-dev.crt && sudo update-ca-certificates   # Debian, Ubuntu, Alpine`,
          `sudo trust anchor ${path}   # Fedora, RHEL, Arch`,
        ];
  const chrome = `certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n plimsoll-dev -i ${path}   # package libnss3-tools`;
  return [
    { who: "the system", how: system },
    ...(platform === "darwin" ? [] : [{ who: "Chrome, Chromium", how: [chrome] }]),
    { who: "Firefox", how: ["Settings > Privacy & Security > View Certificates > Authorities > Import"] },
    { who: "curl", how: [`curl --cacert ${path} https://...`] },
    { who: "Node, Bun", how: [`NODE_EXTRA_CA_CERTS=${path} node app.js`] },
    { who: "Python", how: [`SSL_CERT_FILE=${path} python app.py   # requests: REQUESTS_CA_BUNDLE`] },
  ];
}

/** The lines of plimsoll.yaml that use a certificate. */
export function yamlLines(cert: string, key: string): string {
  return [
    "listeners:",
    "  web:",
    "    address: 127.0.0.1:8443",
    "    tls:",
    `      certificates: [{ cert: ${plain(cert)}, key: ${plain(key)} }]`,
  ].join("\n");
}

/** A word of a shell. */
function quoted(path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

/** A scalar in a flow map of YAML. */
function plain(path: string): string {
  return /^[\w./][\w./@+-]*$/.test(path) ? path : JSON.stringify(path);
}
