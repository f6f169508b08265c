// trouble.ts
var Trouble = class extends Error {
  constructor(message, remedy, options) {
    super(message, options);
    this.remedy = remedy;
    this.name = "Trouble";
  }
  remedy;
};
var tellColleagues = "Nothing was released. Do not try again before you have spoken with your colleagues: the safe, or somebody in its place, shows something that does not hold.";
function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}

export {
  Trouble,
  tellColleagues,
  reasonOf
};
