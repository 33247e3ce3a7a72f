"""Documents in, passages out: parse, chunk, embed, search in Milvus."""
