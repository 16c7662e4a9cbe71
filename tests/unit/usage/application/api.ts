import { PrismaClient } from "@prisma/client";
const prisma = new PrismaClient();

// prisma.note.findMany() is not a call
export async function notes(id: number) {
  const found = await prisma.note.findMany({ // HIT notes
    where: { id, authorId: 4 }, // HIT notes.id notes.authorId
    orderBy: { createdAt: "desc" },
  });
  const page = { id: 1, title: "notes", status: "open" };
  return { found, page };
}

export async function raw(id: number) {
  return prisma.$queryRaw`
    SELECT n.id, n."authorId" /* HIT notes.id notes.authorId */
    FROM notes n /* HIT notes */
    WHERE n.id = ${id} -- HIT notes.id
  `;
}

export const list = (supabase: Client) =>
  supabase.from("notes").select("id, title").eq("authorId", 7); // HIT notes notes.id notes.authorId

export function show(message: string) {
  console.log("Please select an item from the menu", message);
  const from = "lines";
  return from;
}
