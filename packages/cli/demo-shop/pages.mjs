// The shop's pages: strings of HTML, one style sheet, no dependency.
import { find, inStock, price, products } from "./catalogue.mjs";
import { itemsIn } from "./sessions.mjs";

const style = `
:root { color-scheme: light; --ink: #1c2733; --sea: #0d4f6e; --line: #d8dee4; --paper: #fbfaf7; }
* { box-sizing: border-box; margin: 0; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
header, main, footer { max-width: 62rem; margin: 0 auto; padding: 1.1rem 1.4rem; }
header { display: flex; gap: 1.4rem; align-items: center; flex-wrap: wrap; border-bottom: 1px solid var(--line); }
header a { color: inherit; text-decoration: none; }
.mark { font: 600 1.25rem Georgia, serif; letter-spacing: .01em; margin-right: auto; }
.mark i { display: inline-block; width: 1.1em; height: 1.1em; border: .14em solid var(--sea); border-radius: 50%;
  margin-right: .45em; vertical-align: -.18em; background: linear-gradient(var(--sea), var(--sea)) center / 160% .14em no-repeat; }
.by { font: 600 .82rem ui-monospace, monospace; padding: .2rem .65rem; border-radius: 1rem; color: #fff; }
.cart { border: 1px solid var(--line); border-radius: 1rem; padding: .2rem .8rem; background: #fff; }
.note { background: #fff4d6; border: 1px solid #ecd28a; border-radius: .6rem; padding: .8rem 1rem; margin-bottom: 1.2rem; }
.grid { display: grid; gap: 1.1rem; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); }
.card { background: #fff; border: 1px solid var(--line); border-radius: .8rem; overflow: hidden; display: flex; flex-direction: column; }
.picture { text-align: center; padding: 1.1rem; }
svg { fill: none; stroke: var(--ink); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; width: 5.4rem; }
td svg { width: 1.7rem; vertical-align: -.45rem; margin-right: .5rem; }
.card div:last-child { padding: 1rem 1.1rem 1.2rem; display: flex; flex-direction: column; gap: .35rem; flex: 1; }
.card h2 { font: 600 1.1rem Georgia, serif; }
.card form { margin-top: auto; padding-top: .6rem; display: flex; justify-content: space-between; align-items: center; }
.soft { color: #5b6875; font-size: .92rem; }
button { font: inherit; color: #fff; background: var(--sea); border: 0; border-radius: .5rem; padding: .45rem 1rem; cursor: pointer; }
button:hover { filter: brightness(1.12); }
h1 { font: 600 1.6rem Georgia, serif; margin: .4rem 0 1rem; }
table { border-collapse: collapse; width: 100%; background: #fff; border: 1px solid var(--line); border-radius: .8rem; }
td, th { text-align: left; padding: .6rem 1rem; border-bottom: 1px solid var(--line); }
td:last-child, th:last-child { text-align: right; font-variant-numeric: tabular-nums; }
footer { color: #5b6875; font-size: .88rem; border-top: 1px solid var(--line); margin-top: 2rem; }
`;

const tints = ["#0d6e8a", "#9a5b13", "#7a3d8f", "#2f7a3d", "#3b53a8", "#a33d5f"];

/** One colour per instance, so that a reload shows at a glance who answered. */
function tint(instance) {
  const number = Number(/\d+$/.exec(instance)?.[0] ?? 1);
  return tints[(number - 1) % tints.length];
}

/** Drawn here and not written as emoji, which many machines have no font for. */
function drawing(product) {
  return `<svg viewBox="0 0 64 64" role="img" aria-label="${product.name}">${product.picture}</svg>`;
}

function escape(text) {
  return text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}

function page(title, instance, session, body) {
  const lost = session.lostCart
    ? `<p class="note"><b>Your cart is not here.</b> Your session was begun on another instance, and each keeps its
       sessions in its own memory. Reload until that one answers again, and the cart is back.</p>`
    : "";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title><style>${style}</style></head><body>
<header><a class="mark" href="/"><i></i>The Chandlery</a><a href="/stock">Live stock</a>
<a class="cart" href="/cart">Cart · ${itemsIn(session)}</a>
<span class="by" style="background:${tint(instance)}" title="The instance that made this page">${escape(instance)}</span></header>
<main>${lost}${body}</main>
<footer>This page was made by <b>${escape(instance)}</b>, process ${process.pid}. A sample shop: nothing is sold here.</footer>
</body></html>`;
}

export function shopPage(instance, session) {
  const cards = products.map(
    (
      product,
    ) => `<article class="card"><div class="picture" style="background:${product.tint}">${drawing(product)}</div>
<div><h2>${product.name}</h2><p>${product.text}</p><p class="soft">${inStock(product.id)} in stock</p>
<form method="post" action="/cart"><b>${price(product.cents)}</b>
<input type="hidden" name="id" value="${product.id}"><button>Into the cart</button></form></div></article>`,
  );
  return page("The Chandlery", instance, session, `<div class="grid">${cards.join("\n")}</div>`);
}

export function cartPage(instance, session) {
  let sum = 0;
  const rows = [...session.cart].map(([id, count]) => {
    const product = find(id);
    if (product === undefined) return "";
    sum += product.cents * count;
    return `<tr><td>${drawing(product)}${product.name}</td><td>${count}</td><td>${price(product.cents * count)}</td></tr>`;
  });
  const table =
    rows.length === 0
      ? `<p>Nothing in it yet. <a href="/">Have a look around.</a></p>`
      : `<table><tr><th>What</th><th>How many</th><th>Price</th></tr>${rows.join("")}
         <tr><th>Together</th><th></th><th>${price(sum)}</th></tr></table>`;
  return page("Your cart", instance, session, `<h1>Your cart</h1>${table}`);
}

export function stockPage(instance, session) {
  const rows = products.map(
    (product) =>
      `<tr><td>${drawing(product)}${product.name}</td><td id="${product.id}">${inStock(product.id)}</td></tr>`,
  );
  return page(
    "Live stock",
    instance,
    session,
    `<h1>Live stock</h1><p class="soft">Server-sent events from <b id="by">…</b>, one a second, through the balancer.</p><br>
<table><tr><th>What</th><th>Left</th></tr>${rows.join("")}</table>
<script>
const events = new EventSource("/stock/events");
events.onmessage = (event) => {
  const { id, left, instance } = JSON.parse(event.data);
  document.getElementById("by").textContent = instance;
  if (id) document.getElementById(id).textContent = left;
};
</script>`,
  );
}
