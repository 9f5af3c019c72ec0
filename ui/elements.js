/** The page's elements, by their ids in index.html. */

export const at = (id) => document.getElementById(id);

export const templates = { card: at("card"), outcome: at("outcome"), entry: at("entry"), thing: at("thing") };

export const fields = {
  prompt: at("prompt"),
  promptLabel: at("prompt-label"),
  promptHint: at("prompt-hint"),
  flag: at("flag"),
  flagHint: at("flag-hint"),
  lengths: at("lengths"),
  lengthHint: at("length-hint"),
  words: at("words"),
  wordsLabel: at("words-label"),
  wordsHint: at("words-hint"),
  suggestions: at("suggestions"),
};

export const footer = { version: at("version"), environment: at("environment"), redis: at("redis") };
