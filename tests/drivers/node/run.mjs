// Reads {config, key, callers} as JSON, and says what callers got over each driver.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { PrismaPg } from '@prisma/adapter-pg';
import { token } from './token.mjs';
import { providers as withPg } from './with_pg.mjs';
import { providers as withPrisma } from './with_prisma.mjs';

const { config, key, callers } = JSON.parse(readFileSync(0, 'utf8'));
const pool = new pg.Pool({ ...config, max: 1 });
const found = { pg: [], prisma: [] };
for (const claims of callers) found.pg.push(await withPg(pool, claims, key));

// What the page says one must not do: the token in the text, and a token once more.
const client = await pool.connect();
const said = JSON.stringify(callers[0]);
const challenged = async () => (await client.query('select tenantry.challenge()')).rows[0].challenge;
const refused = async (text, values) => client.query(text, values).then(() => 'not refused', (error) => error.message);
await client.query('begin');
const used = token(key, said, await challenged());
found.written = await refused(`select tenantry.open(${client.escapeLiteral(said)}, ${client.escapeLiteral(used)})`);
await client.query('rollback');
await client.query('begin');
found.again = await refused('select tenantry.open($1, $2)', [said, used]);
await client.query('rollback');
client.release();

const adapter = await new PrismaPg(new pg.Pool({ ...config, max: 1, maxUses: 1 })).connect();
for (const claims of callers) found.prisma.push(await withPrisma(adapter, claims, (text, name) => token(key, text, name)));
await pool.end();
await adapter.underlyingDriver().end();
console.log(JSON.stringify(found));
