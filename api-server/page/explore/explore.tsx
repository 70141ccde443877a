/** To be built. */
export const Explore = ({ collection }: { collection: string }) => <h1 tabIndex={-1}>{collection}</h1>;
