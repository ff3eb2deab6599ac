import {
  BLOB_KIND,
  encodeExtentInner,
  encodeExtentLeaf,
  type Extent,
  type ExtentChild,
  type ExtentList,
} from '@foodsave-backup/format';
import type { BlobWriter, Tally } from './blob-writer.ts';

/** Lists up to this length stay in the tree entry itself. */
const INLINE_EXTENTS = 32;
const LEAF_EXTENTS_MAX = 4096;
const FAN_OUT = 512;

/** Extent leaves end where the data says so, so that a change in the middle of a large file leaves the other leaves as they were. */
function endsLeaf(extent: Extent): boolean {
  return extent.blob !== undefined && (extent.blob.readUInt16LE(0) & 0x1ff) === 0;
}

/** The place of a streamed file: inline, or the root of a tree of extent nodes. `size` in bytes. */
export async function saveExtentTree(
  blobs: BlobWriter,
  tally: Tally,
  list: ExtentList,
  size: number,
): Promise<{ extents?: ExtentList; extentRoot?: Buffer }> {
  if (size === 0) return {};
  if (list.extents.length <= INLINE_EXTENTS) return { extents: list };
  const leaves: ExtentChild[] = [];
  let current: Extent[] = [];
  const close = async (): Promise<void> => {
    if (current.length === 0) return;
    const bytes = current.reduce((sum, e) => sum + e.length * list.unit, 0);
    leaves.push({
      id: await saveExtentNode(blobs, tally, encodeExtentLeaf({ unit: list.unit, extents: current })),
      bytes,
    });
    current = [];
  };
  for (const extent of list.extents) {
    current.push(extent);
    if (endsLeaf(extent) || current.length >= LEAF_EXTENTS_MAX) await close();
  }
  await close();
  return { extentRoot: await saveInnerNodes(blobs, tally, leaves) };
}

export async function saveExtentNode(blobs: BlobWriter, tally: Tally, node: Buffer): Promise<Buffer> {
  return (await blobs.save('meta', BLOB_KIND.extents, [node], tally)).id;
}

/** Inner nodes of a fixed fan-out above the leaves, up to one root. */
export async function saveInnerNodes(blobs: BlobWriter, tally: Tally, leaves: readonly ExtentChild[]): Promise<Buffer> {
  let nodes = [...leaves];
  for (let level = 1; nodes.length > 1; level++) {
    const above: ExtentChild[] = [];
    for (let i = 0; i < nodes.length; i += FAN_OUT) {
      const children = nodes.slice(i, i + FAN_OUT);
      const bytes = children.reduce((sum, child) => sum + child.bytes, 0);
      above.push({ id: await saveExtentNode(blobs, tally, encodeExtentInner(level, children)), bytes });
    }
    nodes = above;
  }
  const [root] = nodes;
  if (root === undefined) throw new RangeError('an extent tree needs a leaf');
  return root.id;
}
