/** By class and property: what @nestjs/swagger's compiler plugin would have written into the class. */
export type ModelMetadata = Record<string, Record<string, object>>;
