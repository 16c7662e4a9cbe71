// Contexts over Prisma's driver adapter: what prisma.$transaction() and tx.$queryRaw`…` send through it, without a generated client.
export async function providers(adapter, claims, token) {
  const tx = await adapter.startTransaction('READ COMMITTED');
  const query = async (sql, args = []) => {
    const argTypes = args.map(() => ({ scalarType: 'string', arity: 'scalar' }));
    return (await tx.queryRaw({ sql, args, argTypes })).rows;
  };
  try {
    const [[challenge]] = await query('select tenantry.challenge()');
    const said = JSON.stringify(claims);
    await query(
      `select tenantry.open($1, $2)::text, set_config('role', $3, true),
        set_config('search_path', 'pg_catalog, clinic, pg_temp', true), set_config('statement_timeout', '30s', true)`,
      [said, token(said, challenge), claims.role],
    );
    const rows = await query('select name from providers order by name');
    await query('COMMIT');
    await tx.commit();
    return rows.map(([name]) => name);
  } catch (error) {
    await query('ROLLBACK');
    await tx.rollback();
    throw error;
  }
}
