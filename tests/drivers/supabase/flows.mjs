// Flows of @supabase/auth-js, or of another maker of clients. Each returns what the server answered, for the test to compare.
import { PASSWORD, SERVICE_KEY, WELCOME, address, aMinuteLater, client, follow, landed, mail, ok, refusal, session, signedIn, signedUp, storage, totp } from './world.mjs';

export async function signUp(make = client) {
  const email = address(), auth = make(), secret = { email, password: PASSWORD };
  const weak = await auth.signUp({ email, password: 'short' });
  const made = await ok(auth.signUp({ ...secret, options: { data: { name: 'Ada' }, emailRedirectTo: WELCOME } }));
  const unconfirmed = await refusal(auth.signInWithPassword(secret));
  const first = await mail(email);
  await ok(auth.resend({ type: 'signup', email, options: { emailRedirectTo: WELCOME } }));
  const replaced = await follow(first.link);
  const link = await follow((await mail(email)).link);
  const { user } = await landed(auth, link);
  const wrong = await refusal(auth.signInWithPassword({ email, password: 'wrong' }));
  const again = await ok(auth.signInWithPassword(secret));
  const { claims, header } = await ok(auth.getClaims());
  const hidden = await ok(auth.signUp(secret));
  return {
    weak: [weak.error.status, weak.error.name, weak.error.reasons],
    sessionBefore: made.session,
    unconfirmed,
    replaced: [replaced.fragment.error, replaced.fragment.error_code],
    at: link.at,
    type: link.fragment.type ?? Object.keys(link.query)[0],
    user: [user.user_metadata.name, user.user_metadata.email_verified, Boolean(user.email_confirmed_at), user.identities[0].provider],
    wrong,
    same: again.user.id === made.user.id,
    bearer: again.session.token_type,
    claims: [header.alg, claims.sub === user.id, claims.aud, claims.role, claims.aal, claims.amr[0].method],
    hidden: [hidden.user.id !== user.id, hidden.user.identities.length],
  };
}

export async function refresh(make = client) {
  const email = address(), tab = await signedUp(email, make), begun = await session(tab);
  // Two tabs at once, each with the token that both have.
  const [one, other] = await Promise.all([tab, make()].map((each) => ok(each.refreshSession({ refresh_token: begun.refresh_token }))));
  const further = await ok(tab.refreshSession());
  await aMinuteLater(begun.refresh_token);
  const stolen = await refusal(make().refreshSession({ refresh_token: begun.refresh_token }));
  const owner = await refusal(make().refreshSession({ refresh_token: further.session.refresh_token }));
  return {
    rotated: one.session.refresh_token !== begun.refresh_token,
    tabsAgree: one.session.refresh_token === other.session.refresh_token,
    stolen,
    owner,
    dead: await refusal(make().getUser(further.session.access_token)),
    unknown: await refusal(make().refreshSession({ refresh_token: 'abcdefghijkl' })),
    signsInAgain: Boolean(await signedIn(email, PASSWORD, make)),
  };
}

export async function pkce() {
  const email = address(), kept = storage(), auth = client({ flowType: 'pkce', kept });
  await ok(auth.signUp({ email, password: PASSWORD, options: { emailRedirectTo: WELCOME } }));
  const { at, query, fragment } = await follow((await mail(email)).link);
  const elsewhere = client({ flowType: 'pkce' });
  const noVerifier = await refusal(elsewhere.exchangeCodeForSession(query.code));
  const { session: first } = await ok(auth.exchangeCodeForSession(query.code));
  // Another flow gives this browser a verifier, which the used code does not match any more.
  await ok(auth.resetPasswordForEmail(email, { redirectTo: WELCOME }));
  const used = await refusal(auth.exchangeCodeForSession(query.code));
  await ok(auth.signInWithOtp({ email, options: { emailRedirectTo: WELCOME } }));
  await mail(email); // of the recovery
  const magic = await follow((await mail(email)).link);
  const { session: second } = await ok(auth.exchangeCodeForSession(magic.query.code));
  await ok(auth.resetPasswordForEmail(email, { redirectTo: WELCOME }));
  const recovered = await ok(auth.exchangeCodeForSession((await follow((await mail(email)).link)).query.code));
  await ok(auth.updateUser({ password: 'another horse' }));
  return {
    at,
    only: [Object.keys(query).sort(), Object.keys(fragment)],
    noVerifier,
    first: first.user.email === email,
    used,
    second: second.user.email === email,
    recovery: recovered.redirectType ?? null,
    signsIn: Boolean(await signedIn(email, 'another horse')),
  };
}

export async function recovery(make = client) {
  const email = address(), before = await signedUp(email, make), auth = make();
  await ok(auth.resetPasswordForEmail('nobody@mail.example'));
  await ok(auth.resetPasswordForEmail(email, { redirectTo: WELCOME }));
  const { link, code } = await mail(email);
  const first = await follow(link);
  await landed(auth, first);
  const second = await follow(link);
  const same = await refusal(auth.updateUser({ password: PASSWORD }));
  await ok(auth.updateUser({ password: 'another horse' }));
  return {
    type: first.fragment.type ?? Object.keys(first.query)[0],
    again: [second.fragment.error, second.fragment.error_code],
    code: await refusal(make().verifyOtp({ type: 'recovery', email, token: code })),
    same,
    others: await refusal(before.getUser()),
    old: await refusal(make().signInWithPassword({ email, password: PASSWORD })),
    signsIn: Boolean(await signedIn(email, 'another horse', make)),
  };
}

export async function emailChange(make = client) {
  const old = address(), wanted = address(), taken = address(), auth = await signedUp(old, make);
  await signedUp(taken, make);
  const exists = await refusal(auth.updateUser({ email: taken }));
  const { user } = await ok(auth.updateUser({ email: wanted }, { emailRedirectTo: WELCOME }));
  const half = await ok(auth.verifyOtp({ type: 'email_change', email: wanted, token: (await mail(wanted)).code }));
  const done = await ok(auth.verifyOtp({ type: 'email_change', email: old, token: (await mail(old)).code }));
  const third = address();
  await ok(auth.updateUser({ email: third }, { emailRedirectTo: WELCOME }));
  const byLink = await follow((await mail(wanted)).link);
  const other = await landed(auth, await follow((await mail(third)).link));
  return {
    exists,
    waits: [user.email === old, user.new_email === wanted],
    half: half.session,
    done: [done.user.email === wanted, done.user.new_email ?? null, done.user.identities[0].identity_data.email === wanted],
    halfByLink: [byLink.at, byLink.fragment.message],
    byLink: other.user.email === third,
    oldAddress: await refusal(make().signInWithPassword({ email: old, password: PASSWORD })),
  };
}

export async function secondFactor(make = client) {
  const email = address(), auth = await signedUp(email, make), beside = await signedIn(email, PASSWORD, make);
  const made = await ok(auth.mfa.enroll({ factorType: 'totp', friendlyName: 'Phone', issuer: 'Clinic' }));
  const conflict = await refusal(auth.mfa.enroll({ factorType: 'totp', friendlyName: 'Phone' }));
  const asked = await ok(auth.mfa.challenge({ factorId: made.id }));
  const wrong = await refusal(auth.mfa.verify({ factorId: made.id, challengeId: asked.id, code: '000000' }));
  const unknown = await refusal(auth.mfa.verify({ factorId: made.id, challengeId: made.id, code: '000000' }));
  const used = totp(made.totp.secret);
  const proven = await ok(auth.mfa.verify({ factorId: made.id, challengeId: asked.id, code: used }));
  const level = await ok(auth.mfa.getAuthenticatorAssuranceLevel());
  const listed = await ok(auth.mfa.listFactors());
  const weaker = await signedIn(email, PASSWORD, make);
  const before = await ok(weaker.mfa.getAuthenticatorAssuranceLevel());
  const guarded = [
    await refusal(weaker.updateUser({ password: 'another horse' })),
    await refusal(weaker.mfa.enroll({ factorType: 'totp', friendlyName: '2' })),
    await refusal(weaker.mfa.unenroll({ factorId: made.id })),
    await refusal(weaker.mfa.challengeAndVerify({ factorId: made.id, code: used })),
  ];
  await ok(weaker.mfa.challengeAndVerify({ factorId: made.id, code: totp(made.totp.secret, Date.now() + 30_000) }));
  const after = await ok(weaker.mfa.getAuthenticatorAssuranceLevel());
  const removed = await ok(weaker.mfa.unenroll({ factorId: made.id }));
  await ok(weaker.refreshSession());
  return {
    enrolled: [made.type, made.friendly_name, made.totp.qr_code.slice(0, 42), made.totp.uri.includes(made.totp.secret)],
    conflict,
    challenge: [asked.type, asked.expires_at > Date.now() / 1000],
    wrong,
    unknown,
    session: [proven.token_type, proven.user.factors[0].status],
    level: [level.currentLevel, level.nextLevel, level.currentAuthenticationMethods.map(({ method }) => method).sort()],
    listed: [listed.totp.length, listed.all.length, listed.totp[0].id === made.id],
    beside: await refusal(beside.getUser()),
    before: [before.currentLevel, before.nextLevel],
    guarded,
    after: after.currentLevel,
    removed: removed.id === made.id,
    atLast: (await ok(weaker.mfa.getAuthenticatorAssuranceLevel())).currentLevel,
  };
}

export async function signOut(make = client) {
  const email = address(), first = await signedUp(email, make), second = await signedIn(email, PASSWORD, make), third = await signedIn(email, PASSWORD, make);
  const gone = await session(second);
  await ok(second.signOut({ scope: 'local' }));
  const local = [await session(second), await refusal(make().refreshSession(gone)), Boolean(await ok(third.getUser()))];
  await ok(first.signOut({ scope: 'others' }));
  const others = [Boolean(await ok(first.getUser())), await refusal(third.getUser())];
  const fourth = await signedIn(email, PASSWORD, make), own = await session(first);
  await ok(first.signOut());
  return { local, others, global: [await refusal(fourth.getUser()), await refusal(first.getUser(own.access_token))] };
}

export async function administration() {
  const { admin } = client({ key: SERVICE_KEY }), email = address(), secret = { email, password: PASSWORD };
  const forbidden = await refusal(client().admin.listUsers());
  const { user } = await ok(admin.createUser({ ...secret, email_confirm: true, user_metadata: { name: 'Ada' }, app_metadata: { plan: 'clinic' } }));
  const exists = await refusal(admin.createUser(secret));
  for (let n = 0; n < 4; n++) await ok(admin.createUser({ email: address() }));
  const all = await ok(admin.listUsers({ page: 1, perPage: 1000 }));
  const size = Math.ceil(all.total / 3);
  const pages = [];
  for (const page of [1, 2, 3]) pages.push(await ok(admin.listUsers({ page, perPage: size })));
  const person = await signedIn(email);
  await ok(admin.updateUserById(user.id, { ban_duration: '1h' }));
  const banned = [await refusal(person.getUser()), await refusal(person.refreshSession()), await refusal(client().signInWithPassword(secret))];
  await ok(admin.updateUserById(user.id, { ban_duration: 'none', app_metadata: { plan: null } }));
  const shown = (await ok(admin.getUserById(user.id))).user;
  const guest = address();
  const invited = (await ok(admin.inviteUserByEmail(guest, { data: { clinic: 'Fernhill' }, redirectTo: WELCOME }))).user;
  const landing = client(), link = await follow((await mail(guest)).link);
  await landed(landing, link);
  await ok(landing.updateUser({ password: PASSWORD }));
  const twice = await refusal(admin.inviteUserByEmail(guest));
  const made = await ok(admin.generateLink({ type: 'recovery', email, options: { redirectTo: WELCOME } }));
  const byHash = await ok(client().verifyOtp({ type: 'recovery', token_hash: made.properties.hashed_token }));
  const unknown = await refusal(admin.getUserById('5f3a2b1c-0d9e-4f8a-8b7c-6d5e4f3a2b1c'));
  await ok(admin.signOut((await session(person)).access_token, 'global'));
  const signedOut = await refusal(person.getUser());
  await ok(admin.deleteUser(user.id));
  return {
    forbidden,
    created: [user.app_metadata.plan, Boolean(user.email_confirmed_at)],
    exists,
    pages: pages.map(({ users, nextPage, lastPage }) => [users.length > 0, nextPage, lastPage]),
    complete: JSON.stringify(pages.flatMap(({ users }) => users.map(({ id }) => id))) === JSON.stringify(all.users.map(({ id }) => id)),
    total: all.total === all.users.length,
    banned,
    shown: [shown.email === email, shown.app_metadata.plan ?? null, shown.app_metadata.provider],
    invited: [Boolean(invited.invited_at), invited.email_confirmed_at ?? null, link.fragment.type],
    guest: Boolean(await signedIn(guest)),
    twice,
    link: [made.properties.verification_type, made.properties.redirect_to, byHash.user.id === user.id],
    unknown,
    signedOut,
    deleted: [await refusal(byHash.session && client().getUser(byHash.session.access_token)), await refusal(admin.deleteUser(user.id))],
  };
}

export async function notServed() {
  const auth = client(), person = await signedUp();
  return {
    anonymous: await refusal(auth.signInAnonymously()),
    phone: await refusal(auth.signInWithOtp({ phone: '4915112345678' })),
    sso: await refusal(auth.signInWithSSO({ domain: 'mail.example' })),
    idToken: await refusal(auth.signInWithIdToken({ provider: 'google', token: 'x' })),
    badToken: await refusal(auth.getUser('no.token.atall')),
    phoneFactor: await refusal(person.mfa.enroll({ factorType: 'phone', phone: '4915112345678' })),
    linking: await refusal(person.linkIdentity({ provider: 'google' })),
  };
}
