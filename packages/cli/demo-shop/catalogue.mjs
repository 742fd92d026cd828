// What the shop sells. Stock is each instance's own, as so often: the second lesson after the cart.

/** @typedef {{ id: string, name: string, text: string, cents: number, picture: string, tint: string }} Product */

/** @type {readonly Product[]} */
export const products = [
  {
    id: "lamp",
    name: "Deck lamp",
    text: "Brass, for oil. Burns through the night watch.",
    cents: 6900,
    picture: `<path d="M24 14a8 8 0 0 1 16 0M20 20h24l-3 24H23zM26 44h12v6H26zM32 27c4 4 4 8 0 11-4-3-4-7 0-11z"/>`,
    tint: "#f7e3c8",
  },
  {
    id: "rope",
    name: "Hemp rope",
    text: "Thirty metres, three strands, tarred.",
    cents: 3450,
    picture: `<ellipse cx="32" cy="24" rx="18" ry="8"/><path d="M14 24v9c0 4.4 8 8 18 8s18-3.600 18-8v-9M14 33v8c0 4.400 8 8 18 8s18-3.600 18-8v-8"/><ellipse cx="32" cy="24" rx="7" ry="3"/><path d="M50 41c4 2 6 5 4 10"/>`,
    tint: "#e9e2d0",
  },
  {
    id: "compass",
    name: "Dry compass",
    text: "Swings freely, even in a heavy sea.",
    cents: 12900,
    picture: `<circle cx="32" cy="34" r="18"/><circle cx="32" cy="12" r="3"/><path d="M38 28l-3.500 9.500L26 40l3.500-9.500z"/>`,
    tint: "#d9e8ee",
  },
  {
    id: "anchor",
    name: "Kedge anchor",
    text: "Twelve kilos. Holds in sand and clay.",
    cents: 18900,
    picture: `<circle cx="32" cy="14" r="4"/><path d="M32 18v34M22 26h20M14 36c0 10 8 16 18 16s18-6 18-16M14 36l-3 6M14 36l6 4M50 36l3 6M50 36l-6 4"/>`,
    tint: "#d6dde6",
  },
  {
    id: "bell",
    name: "Ship's bell",
    text: "Cast in one piece. Eight bells and all is well.",
    cents: 9900,
    picture: `<path d="M16 44h32c-5-5-5-10-5-15a11 11 0 0 0-22 0c0 5 0 10-5 15zM32 18v-6"/><circle cx="32" cy="48" r="3.500"/>`,
    tint: "#f4e6b8",
  },
  {
    id: "chart",
    name: "Sea chart",
    text: "North Sea, southern part. Mind the load line.",
    cents: 2400,
    picture: `<path d="M10 18l14-5 16 5 14-5v34l-14 5-16-5-14 5zM24 13v34M40 18v34M14 30c4-4 6 4 10 0M28 38l4-4 4 4"/>`,
    tint: "#dfead6",
  },
];

/** @type {Map<string, number>} */
const stock = new Map(products.map((product, index) => [product.id, 12 + index * 3]));

/** @param {string} id */
export function find(id) {
  return products.find((product) => product.id === id);
}

/** @param {string} id */
export function inStock(id) {
  return stock.get(id) ?? 0;
}

/**
 * Takes one out of stock; false when there is none left.
 * @param {string} id
 */
export function take(id) {
  const left = inStock(id);
  if (left === 0) return false;
  stock.set(id, left - 1);
  return true;
}

/** Somebody elsewhere sells or delivers something: what the live stock page shows. */
export function tick() {
  const product = products[Math.floor(Math.random() * products.length)];
  if (product === undefined) return null;
  const before = inStock(product.id);
  const now = before <= 2 ? before + 12 : before - 1;
  stock.set(product.id, now);
  return { id: product.id, name: product.name, left: now };
}

/** @param {number} cents */
export function price(cents) {
  return `€ ${(cents / 100).toFixed(2)}`;
}
