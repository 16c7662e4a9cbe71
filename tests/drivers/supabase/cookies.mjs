// @supabase/ssr: a server's client for each request, over the cookies of one browser.
import { createServerClient } from '@supabase/ssr';
import ws from 'ws';
import { ANON_KEY, PASSWORD, PROJECT, WELCOME, address, checkedFetch, follow, mail, ok, refusal } from './world.mjs';

// A request of a browser: its cookies are read and written as a web framework does.
export const request = (jar = new Map()) =>
  createServerClient(PROJECT, ANON_KEY, {
    cookies: {
      getAll: () => [...jar].map(([name, value]) => ({ name, value })),
      setAll: (all) => all.forEach(({ name, value, options }) => (options.maxAge === 0 ? jar.delete(name) : jar.set(name, value))),
    },
    global: { fetch: checkedFetch },
    realtime: { transport: ws }, // Node 20 has no WebSocket of its own.
  }).auth;

export async function cookies() {
  const email = address(), jar = new Map();
  await ok(request(jar).signUp({ email, password: PASSWORD, options: { emailRedirectTo: WELCOME } }));
  const before = [...jar.keys()].some((name) => name.endsWith('-code-verifier'));
  const { query } = await follow((await mail(email)).link);
  const thief = await refusal(request(new Map()).exchangeCodeForSession(query.code));
  await ok(request(jar).exchangeCodeForSession(query.code));
  const { user } = await ok(request(jar).getUser());
  const { claims } = await ok(request(jar).getClaims());
  // Two requests of one page refresh at once; what either stores in the cookies goes on.
  const tabs = [new Map(jar), new Map(jar)];
  const renewed = await Promise.all(tabs.map((each) => ok(request(each).refreshSession())));
  const goesOn = await Promise.all(tabs.map(async (each) => (await ok(request(each).getUser())).user.id === user.id));
  const stolen = new Map(tabs[0]);
  await ok(request(tabs[0]).signOut());
  const after = [...tabs[0].values()].filter(Boolean).length;
  const dead = await refusal(request(stolen).getUser());
  const refresh = await refusal(request(new Map(tabs[1])).refreshSession());
  await ok(request(jar).signInWithPassword({ email, password: PASSWORD }));
  return {
    verifierKept: before,
    thief,
    user: user.email === email,
    claims: [claims.email === email, claims.aal],
    tabsAgree: renewed[0].session.refresh_token === renewed[1].session.refresh_token,
    goesOn,
    cookiesAfterSignOut: after,
    stolenCookie: [dead, refresh],
    signsInAgain: (await ok(request(jar).getUser())).user.id === user.id,
  };
}
