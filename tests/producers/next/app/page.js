export const dynamic = 'force-dynamic';

export default function Page() {
  console.log('rendering the start page');
  console.error(new TypeError('a logged error'));
  return <p>start</p>;
}
