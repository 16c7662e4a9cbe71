// The token, as docs/how-to/open-a-context.md shows it.
// [page]
import { createHmac } from 'node:crypto';

/** key: the line of seal.key; claims: the very text that is sent; challenge: what tenantry.challenge() said in this transaction. */
export function token(key, claims, challenge) {
  const [kid, secret] = key.trim().split(':');
  const derived = createHmac('sha256', Buffer.from(secret, 'base64url')).update('tenantry open v1').digest();
  const issued = String(Date.now()).padStart(13, '0');
  const mac = createHmac('sha256', derived).update(`${kid}.${issued}.${challenge}.${claims}`).digest('hex');
  return `${kid}.${issued}.${mac}`;
}
