// What the flows share: the server's address and keys from the environment, clients, mails that came, and what an answer says.
import { createHmac } from 'node:crypto';
import { AuthClient } from '@supabase/auth-js';

export const { PROJECT, ANON_KEY, SERVICE_KEY, MAILBOX, SITE } = process.env;
export const URL_OF_SIGN_IN = `${PROJECT}/auth/v1`;
export const PASSWORD = 'correct horse';
export const WELCOME = `${SITE}/welcome`;
const VERSION = 'X-Supabase-Api-Version';
let people = 0;
const read = new Set();

export const address = () => `visitor${++people}@mail.example`;

// Every answer has the headers of the contract: on errors alone the version, and the code that the body has.
export async function checkedFetch(...given) {
  const answer = await fetch(...given);
  const version = answer.headers.get(VERSION), code = answer.headers.get('x-sb-error-code');
  if (answer.ok && (version || code)) throw new Error(`an error's header on ${answer.status} of ${given[0]}`);
  if (answer.status >= 400) {
    const body = await answer.clone().json();
    if (version !== '2024-01-01' || code !== body.code) throw new Error(`${version}, ${code}: ${JSON.stringify(body)} of ${given[0]}`);
  }
  return answer;
}

export function storage() {
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value), removeItem: (key) => void kept.delete(key) };
}

export function client({ flowType = 'implicit', key = ANON_KEY, kept = storage() } = {}) {
  const headers = { Authorization: `Bearer ${key}`, apikey: key };
  return new AuthClient({ url: URL_OF_SIGN_IN, headers, flowType, storage: kept, autoRefreshToken: false, detectSessionInUrl: false, fetch: checkedFetch });
}

// Returns what a call answered, which must not be an error.
export async function ok(call) {
  const { data, error } = await call;
  if (error) throw error;
  return data;
}

// Returns status and code of what a call is refused with.
export async function refusal(call) {
  const { error } = await call;
  if (!error) throw new Error('the call was not refused');
  return [error.status ?? null, error.code ?? error.name];
}

// Returns the oldest mail to an address that was not read yet. It is sent after the answer.
export async function mail(to) {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await new Promise((resume) => setTimeout(resume, 3))) {
    const { messages } = await (await fetch(`${MAILBOX}/api/messages?to=${encodeURIComponent(to)}`)).json();
    const found = messages.reverse().find(({ id }) => !read.has(id));
    if (found) {
      read.add(found.id);
      return { link: found.links.at(-1), code: found.codes[0] };
    }
  }
  throw new Error(`no mail came to ${to}`);
}

// Opens the link of a mail; returns where it leads.
export async function follow(link) {
  const answer = await fetch(link, { redirect: 'manual' });
  if (answer.status !== 303) throw new Error(`${answer.status}: ${await answer.text()}`);
  const led = new URL(answer.headers.get('location'));
  return { at: led.origin + led.pathname, query: Object.fromEntries(led.searchParams), fragment: Object.fromEntries(new URLSearchParams(led.hash.slice(1))) };
}

// Signs in with what a link led to, as a page would.
export const landed = (auth, { query, fragment }) => ok(query.code ? auth.exchangeCodeForSession(query.code) : auth.setSession(fragment));

export async function signedUp(email = address(), make = client) {
  const auth = make();
  await ok(auth.signUp({ email, password: PASSWORD }));
  await ok(auth.verifyOtp({ type: 'signup', email, token: (await mail(email)).code }));
  return auth;
}

export async function signedIn(email, password = PASSWORD, make = client) {
  const auth = make();
  await ok(auth.signInWithPassword({ email, password }));
  return auth;
}

export const session = async (auth) => (await ok(auth.getSession())).session;
export const aMinuteLater = (refreshToken) => fetch(`${MAILBOX}/age/${refreshToken}`, { method: 'POST' });

// RFC 6238 with the secret in base 32.
export function totp(secret, at = Date.now()) {
  const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const digest = createHmac('sha1', key).update(counter).digest();
  return String((digest.readUInt32BE(digest[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}
