// Creates, reads, changes and deletes a note as a tenant, over the client that Prisma generated. Reads {config, key, callers, orgs} as JSON.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PrismaPg } from '@prisma/adapter-pg';
import { Prisma, PrismaClient } from './generated/client.js';

const { config, key, callers, orgs } = JSON.parse(readFileSync(0, 'utf8'));
const prisma = new PrismaClient({ adapter: new PrismaPg({ ...config, max: 1 }) });

function token(claims: string, challenge: string): string {
  const [kid, secret] = key.trim().split(':');
  const derived = createHmac('sha256', Buffer.from(secret, 'base64url')).update('tenantry open v1').digest();
  const issued = String(Date.now()).padStart(13, '0');
  return `${kid}.${issued}.${createHmac('sha256', derived).update(`${kid}.${issued}.${challenge}.${claims}`).digest('hex')}`;
}

function as<T>(caller: number, work: (tx: Prisma.TransactionClient) => Promise<T>): Promise<T> {
  return prisma.$transaction(async (tx) => {
    const [{ challenge }] = await tx.$queryRaw<[{ challenge: string }]>`select tenantry.challenge()`;
    const said = JSON.stringify(callers[caller]);
    await tx.$queryRaw`select tenantry.open(${said}, ${token(said, challenge)})::text, set_config('role', 'authenticated', true)`;
    return work(tx);
  });
}

const made = await as(0, (tx) =>
  tx.note.create({
    data: { org_id: orgs[0], title: 'New', tone: 'dark', tones: ['light', 'dark'], tags: ['a', 'b'], price: '12.5' },
  }),
);
const at = { org_id_id: { org_id: made.org_id, id: made.id } };
const other = await as(1, async (tx) => ({ all: await tx.note.findMany(), one: await tx.note.findUnique({ where: at }) }));
const changed = await as(0, (tx) => tx.note.update({ where: at, data: { title: 'Changed' }, include: { org: true } }));
const refused = await as(1, (tx) => tx.note.update({ where: at, data: { title: 'Stolen' } })).then(
  () => 'not refused',
  (error) => error.code,
);
const deleted = await as(0, (tx) => tx.note.delete({ where: at }));
const left = await as(0, (tx) => tx.org.findMany({ include: { notes: { select: { title: true } } } }));
console.log(
  JSON.stringify(
    { made, other: [other.all.map((note) => note.title), other.one], changed: [changed.title, changed.org.name], refused, deleted: deleted.id, left },
    (_, value) => (typeof value === 'bigint' ? String(value) : value),
  ),
);
await prisma.$disconnect();
