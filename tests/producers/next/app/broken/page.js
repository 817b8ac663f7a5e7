export const dynamic = 'force-dynamic';

async function find(id) {
  throw new Error(`no product ${id}`);
}

export default async function Page() {
  await find(7);
}
