/** To be built. */
export const DocsetView = ({ id }: { id: string }) => <h1 tabIndex={-1}>{id}</h1>;
