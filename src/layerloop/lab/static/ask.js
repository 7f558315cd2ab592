// Requests to the server that served this page, and to no other.
export class Refused extends Error {}

export async function tell(path, values = {}) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values) };
  return answer(await fetch(path, options));
}

export const get = async (path) => answer(await fetch(path));

async function answer(response) {
  const values = await response.json().catch(() => ({ error: `status ${response.status}` }));
  if (!response.ok) throw new Refused(values.error);
  return values;
}

// Runs `work`; what the server refuses stands in `place`, and everything else is thrown on.
export async function saying(place, work) {
  try {
    place.textContent = "";
    return await work();
  } catch (error) {
    place.textContent = error instanceof Refused ? error.message : "the server does not answer: is the command still running?";
    return null;
  }
}
