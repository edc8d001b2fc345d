// The API's client, typed by the generated schema. Every answer goes through `answer`, which turns refusals and
// failures into two errors that the rest of the console knows.
import createClient from "openapi-fetch";
import { reachability } from "./reachability";
import type { Problem, paths } from "./schema";

/** The API refused, and said why. */
export class Refused extends Error {
  override name = "Refused";
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

/** The API did not answer, or something in front of it did. */
export class Unreachable extends Error {
  override name = "Unreachable";
}

export const api = createClient<paths>({ credentials: "same-origin" });

interface Result<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** What is away for now is a machine, or its agent; the API itself is there. */
const OF_A_MACHINE = new Set(["waking", "no_answer", "ticket_refused", "runtime_unavailable"]);

/** The data of an answer. Throws {@link Refused} or {@link Unreachable}. */
export async function answer<Data>(call: Promise<Result<Data>>): Promise<Data> {
  let result: Result<Data>;
  try {
    result = await call;
  } catch (error) {
    reachability.lost("The API cannot be reached.");
    throw new Unreachable("The API cannot be reached.", { cause: error });
  }
  const { data, error, response } = result;
  if (response.ok) {
    reachability.found();
    return data as Data;
  }
  if (!isProblem(error)) {
    const detail = `The API cannot be reached (status ${response.status}).`;
    reachability.lost(detail);
    throw new Unreachable(detail);
  }
  if (response.status === 503 && !OF_A_MACHINE.has(error.code)) {
    reachability.lost(error.detail);
    throw new Unreachable(error.detail, { cause: new Refused(error) });
  }
  reachability.found();
  throw new Refused(error);
}

function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "code" in value && "detail" in value;
}

/** Whether the error says that nobody is signed in. */
export function isUnauthenticated(error: unknown): boolean {
  return error instanceof Refused && error.problem.code === "unauthenticated";
}

export function isNotFound(error: unknown): boolean {
  return error instanceof Refused && error.problem.status === 404;
}
