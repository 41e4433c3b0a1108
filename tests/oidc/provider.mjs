// A real OpenID provider on a port that the system gives, for one client and any user name.
//
//   node provider.mjs CLIENT_ID CLIENT_SECRET REDIRECT_URI USER=GROUP,GROUP ...
//
// Prints `issuer http://localhost:PORT` once it listens. Its login page takes any password: what is
// tested is the hub, not the provider.

import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [clientId, clientSecret, redirectUri, ...users] = process.argv.slice(2);
const groups = new Map(
  users.map((user) => {
    const [name, list = ''] = user.split('=');
    return [name, list.split(',').filter(Boolean)];
  }),
);

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    // No login of ours works without it.
    pkce: { required: () => true },
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    // Claims are in the ID token, where a client that asks for no user information looks.
    conformIdTokenClaims: false,
    findAccount: (_, name) =>
      groups.has(name) && {
        accountId: name,
        claims: () => ({
          sub: name,
          name,
          preferred_username: name,
          email: `${name}@example.com`,
          email_verified: true,
          groups: groups.get(name),
        }),
      },
    cookies: { keys: ['only for tests'] },
  });
  server.on('request', provider.callback());
  console.log(`issuer ${issuer}`);
});
process.on('SIGTERM', () => process.exit(0));
