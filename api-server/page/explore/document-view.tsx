/** To be built. */
export const DocumentView = ({ id }: { id: string }) => <h1 tabIndex={-1}>{id}</h1>;
