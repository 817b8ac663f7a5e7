package shop;

/** Something that fails with a cause. */
final class Orders {
    static void find(int id) {
        try {
            read(id);
        } catch (java.io.IOException error) {
            throw new IllegalStateException("order " + id + " cannot be read", error);
        }
    }

    private static void read(int id) throws java.io.IOException {
        throw new java.io.FileNotFoundException("orders/" + id);
    }
}
