"""Writes faiss-golden.json: small indexes as FAISS itself writes them, with the results of its own search.

Run with Debian's python3-faiss: /usr/bin/python3 make-golden.py > faiss-golden.json
"""
import base64
import json

import faiss
import numpy as np

rng = np.random.default_rng(7)
COUNT, DIMENSION = 60, 4
x = rng.random((COUNT, DIMENSION)).astype("float32")
out = {"faiss": faiss.__version__, "indexes": {}}


def save(name, index, metric, ids=None):
    if not index.is_trained:
        index.train(x)
    if ids is None:
        index.add(x)
    else:
        index.add_with_ids(x, ids)
    _, found = index.search(x[[0, (COUNT - 1) // 2, COUNT - 1]], 3)
    out["indexes"][name] = {
        "facts": {"vectors": index.ntotal, "dimension": index.d, "metric": metric},
        "search": found.tolist(),
        "bytes": base64.b64encode(faiss.serialize_index(index).tobytes()).decode(),
    }


save("l2", faiss.IndexFlatL2(DIMENSION), "l2")
save("ip", faiss.IndexFlatIP(DIMENSION), "inner_product")
save("map", faiss.IndexIDMap(faiss.IndexFlatL2(DIMENSION)), "l2", np.arange(COUNT) * 7 + 3)
save("map2", faiss.IndexIDMap2(faiss.IndexFlatIP(DIMENSION)), "inner_product", np.arange(COUNT) * 1000003)
save("hnsw", faiss.IndexHNSWFlat(DIMENSION, 4), "l2")
save("ivf", faiss.index_factory(DIMENSION, "IVF2,Flat"), "l2")
save("sq", faiss.index_factory(DIMENSION, "SQ8"), "l2")
save("l1", faiss.IndexFlat(DIMENSION, faiss.METRIC_L1), "l1")
print(json.dumps(out, indent=1))
