// Node's HTTP calls without the rest of their module: an `import` of `node:http` reads every name in it, and one of them
// loads Node's `fetch` and WebSocket, which nobody here uses: 2-3 MB in each process, for as long as it lives.

export const { Agent, request } = process.getBuiltinModule('node:http');
