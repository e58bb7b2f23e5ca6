// Creates a study, polls its leaderboard, downloads its model: all by the client that was generated beside this file.
import { writeFileSync } from "node:fs";
import { createStudy, downloadModel, getLeaderboard, getStudy, listStudies } from "./generated";
import { client } from "./generated/client.gen";

async function main(): Promise<void> {
  const { URL = "", TOKEN = "", MODEL = "" } = process.env;
  client.setConfig({ baseUrl: URL, auth: TOKEN });
  const made = await createStudy({
    body: {
      name: "from TypeScript",
      dataset: { builtin: "iris" },
      space: { units: { type: "int", low: 8, high: 64, log: true } },
      algorithm: { kind: "random", seed: 0 },
      budget: { max_trials: 2 },
      baselines: false,
    },
    headers: { "Idempotency-Key": "typescript" },
    throwOnError: true,
  });
  const path = { study_id: made.data.study_id };
  for (;;) {
    const board = await getLeaderboard({ path, query: { limit: 3 }, throwOnError: true });
    const study = await getStudy({ path, throwOnError: true });
    if (study.data.ended_at) {
      const listed = await listStudies({ query: { name: study.data.name }, throwOnError: true });
      const missing = await getStudy({ path: { study_id: "nothing" } });
      const model = await downloadModel({ path, throwOnError: true });
      writeFileSync(MODEL, Buffer.from(await (model.data as Blob).arrayBuffer()));
      console.log(
        JSON.stringify({
          state: study.data.state,
          ranks: board.data.items.map((row) => row.rank),
          listed: listed.data.items.map((one) => one.name),
          missing: missing.error?.code,
        }),
      );
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

void main();
