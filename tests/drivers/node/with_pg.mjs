// Contexts over node-postgres, as docs/how-to/open-a-context.md shows them.
// [page]
import { token } from './token.mjs';

export async function providers(pool, claims, key) {
  const client = await pool.connect();
  let failed;
  try {
    await client.query('begin isolation level read committed read write');
    const { rows: [{ challenge }] } = await client.query('select tenantry.challenge()');
    const said = JSON.stringify(claims);
    await client.query(
      `select tenantry.open($1, $2), set_config('role', $3, true),
        set_config('search_path', 'pg_catalog, clinic, pg_temp', true), set_config('statement_timeout', '30s', true)`,
      [said, token(key, said, challenge), claims.role],
    );
    const { rows } = await client.query('select name from providers order by name');
    await client.query('commit');
    await client.query('discard all');
    return rows.map((row) => row.name);
  } catch (error) {
    failed = error;
    throw error;
  } finally {
    client.release(failed); // with an error the pool closes the connection
  }
}
