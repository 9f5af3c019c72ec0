// What a program is asked about, and how it tells what it was answered. Beside every program in JavaScript.
import { readFileSync } from "node:fs";

export const URL_OF_SERVICE = process.env.LOOKSEE_URL;
const told = JSON.parse(readFileSync(process.env.COMPAT_SCENES, "utf8"));
export const QUESTION = told.question;
export const SCENES = told.scenes; // picture (a path), base64, uri; right are count, number and caption

export async function tell(asked, ask, right) {
  let answer = null;
  let error = null;
  try {
    answer = String(await ask());
  } catch (trouble) {
    error = `${trouble.name}: ${trouble.message}`;
  }
  console.log(JSON.stringify({ asked, answer, error, right: String(right) }));
}
