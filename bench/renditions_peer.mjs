// The peer of bench/renditions.py: ipx (sharp) serves pictures of a folder, made anew each time.
// Arguments: the folder. Says "PORT versions" when it listens.
import { createServer } from "node:http";
import { createIPX, createIPXNodeServer, ipxFSStorage } from "ipx";
import sharp from "sharp";

const ipx = createIPX({ storage: ipxFSStorage({ dir: process.argv[2] }) });
const server = createServer(createIPXNodeServer(ipx));
server.listen(0, "127.0.0.1", () => {
  const { vips, sharp: version } = sharp.versions;
  console.log(`${server.address().port} ${vips} ${version ?? "?"}`);
});
