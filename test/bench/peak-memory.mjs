// Preloaded (`--import`) into a Node process: at its end it writes the most memory that it held, in KB.

import { writeFileSync } from "node:fs";

process.on("exit", () => writeFileSync(process.env.PEAK_MEMORY_TO, String(process.resourceUsage().maxRSS)));
