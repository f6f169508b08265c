// The build puts the list of words into the bundle as text.
declare module "*.txt" {
  const text: string;
  export default text;
}
