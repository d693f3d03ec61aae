/** Why signing in the browser did not go on: a sentence for the person, and the field it stands beside. */
export class Refusal extends Error {
  constructor(
    readonly field: "file" | "password" | "key" | "page",
    sentence: string,
  ) {
    super(sentence);
  }
}
