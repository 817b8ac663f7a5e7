// The server puts a fresh nonce into index.html. Styles made at run time carry it, so that the policy stays strict.

const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''

export const cspNonce = () => nonce

// Read by the scroll-lock helper below Mantine's dialogs.
Object.assign(globalThis, { __webpack_nonce__: nonce })
