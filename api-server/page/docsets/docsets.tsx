/** The miner's docsets. */
export const Docsets = () => <h1 tabIndex={-1}>Docsets</h1>;
