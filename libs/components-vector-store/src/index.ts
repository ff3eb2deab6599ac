export { parseVectorStoreConfig, vectorStoreDrivers, type VectorStoreConfig } from './driver.ts';
export { FAISS_KINDS, inspectFaiss, MAX_COMPARED, type FaissFacts, type Neighbours } from './faiss.ts';
export { verifyFacts, type FactsCheck, type FaissStoreFacts, type IndexFacts } from './facts.ts';
export { fileReader, memoryReader, type BytesReader, type FileReader } from './reader.ts';
