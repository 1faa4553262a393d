/* Tests of runtime/device/machine.c: two tables, of good and of bad strings. */
#include "runtime/device/machine.h"

#include "base/philox.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct good {
    const char *text;
    const char *canonical;
    uint32_t count;
    uint64_t mem;
    uint64_t link;
    uint32_t threads;
    bool pace;
};

static const struct good good[] = {
    {"host", "host*1", 1, 0, 0, 1, false},
    {"host*1", "host*1", 1, 0, 0, 1, false},
    {"host*2", "host*2", 2, 0, 0, 1, false},
    {"host*64", "host*64", 64, 0, 0, 1, false},
    {"host*007", "host*7", 7, 0, 0, 1, false},
    {"  host*2  ", "host*2", 2, 0, 0, 1, false},
    {"host*2 mem=8MiB", "host*2 mem=8MiB", 2, 8 << 20, 0, 1, false},
    {"host*2\tmem=8MiB", "host*2 mem=8MiB", 2, 8 << 20, 0, 1, false},
    {"host mem=4096", "host*1 mem=4KiB", 1, 4096, 0, 1, false},
    {"host mem=4097", "host*1 mem=4097", 1, 4097, 0, 1, false},
    {"host mem=1.5MiB", "host*1 mem=1536KiB", 1, 1536 << 10, 0, 1, false},
    {"host mem=2GB", "host*1 mem=2GB", 1, 2000000000, 0, 1, false},
    {"host mem=1TiB", "host*1 mem=1TiB", 1, UINT64_C(1) << 40, 0, 1, false},
    {"host mem=1000000", "host*1 mem=1MB", 1, 1000000, 0, 1, false},
    {"host link=1GB/s", "host*1 link=1GB/s", 1, 0, 1000000000, 1, false},
    {"host link=800MB/s", "host*1 link=800MB/s", 1, 0, 800000000, 1, false},
    {"host link=1B/s", "host*1 link=1B/s", 1, 0, 1, 1, false},
    {"host link=4.5GiB/s", "host*1 link=4608MiB/s", 1, 0, UINT64_C(4608) << 20, 1, false},
    {"host threads=1", "host*1", 1, 0, 0, 1, false},
    {"host threads=2", "host*1 threads=2", 1, 0, 0, 2, false},
    {"host threads=256", "host*1 threads=256", 1, 0, 0, 256, false},
    {"host pace=model", "host*1 pace=model", 1, 0, 0, 1, true},
    {"host*2 mem=8MiB link=1GB/s threads=1 pace=model", "host*2 mem=8MiB link=1GB/s pace=model", 2,
     8 << 20, 1000000000, 1, true},
    {"host*3 pace=model threads=4 link=12GB/s mem=1GiB",
     "host*3 mem=1GiB link=12GB/s threads=4 pace=model", 3, 1 << 30, 12000000000, 4, true},
};

struct bad {
    const char *text;
    const char *why;  /* a part of the message */
    const char *cure; /* another */
};

static const struct bad bad[] = {
    {"", "empty", "host*2 mem=8MiB"},
    {"   ", "empty", "host*2 mem=8MiB"},
    {"hots*2", "'hots' is no kind", "did you mean 'host'"},
    {"Host*2", "'Host' is no kind", "did you mean 'host'"},
    {"hosts*2", "'hosts' is no kind", "did you mean 'host'"},
    {"gpu*2", "'gpu' is no kind", "host*2 mem=8MiB"},
    {"tpu-v5*8", "'tpu-v5' is no kind", "host*2 mem=8MiB"},
    {"cuda:0,1", "'cuda' devices are not served yet in this build", "use host"},
    {"cuda:0/2", "not served yet in this build", "use host"},
    {"cuda*8", "not served yet in this build", "use host"},
    {"cuda", "not served yet in this build", "use host"},
    {"sim", "a simulated machine names its devices", "sim:h200*8"},
    {"sim*2 hosts=2", "a simulated machine names its devices", "sim:NAME*N"},
    {"sim:", "'' is no name of a device to simulate", "sim:h200*8"},
    {"sim:*8", "'' is no name of a device", "sim:h200*8"},
    {"sim:h200*8+", "'' is no name of a device", "sim:h200*8"},
    {"sim:h,200", "'h,200' is no name of a device", "a machine file's, or its path"},
    {"sim:h200*0", "'0' is no number of devices", "sim:h200*N with N from 1 to 1024"},
    {"sim:h200*1025", "'1025' is no number of devices", "1 to 1024 in all"},
    {"sim:h200*1000+a100*25", "'25' is no number of devices", "1 to 1024 in all"},
    {"sim:h200*1024+a100", "'a100' is one too many", "1024 devices in all"},
    {"sim:a+b+c+d+e", "'e' is one too many", "at most 4 sorts"},
    {"sim:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "is no name",
     "of at most 63 letters"},
    {"sim:h200*8 hosts=3", "hosts=3 is no number of hosts", "8 devices can be dealt"},
    {"sim:h200*8 hosts=0", "hosts=0 is no number of hosts", "8 devices can be dealt"},
    {"sim:h200*8 hosts=16", "hosts=16 is no number of hosts", "8 devices can be dealt"},
    {"sim:h200*8 threads=2", "'threads' belongs to host devices", "leave it out"},
    {"sim:h200*8 pace=model", "'pace' belongs to host devices", "leave it out"},
    {"sim:h200*8 size=4GiB", "unknown key 'size'", "known are mem, link and hosts"},
    {"sim:h200*8 meme=4GiB", "unknown key 'meme'", "did you mean 'mem'"},
    {"host*2 hosts=2", "'hosts' belongs to simulated machines", "leave it out"},
    {"host:0", "have no names ('0')", "say how many"},
    {"mem=8MiB", "'mem=8MiB' is no device", "begin with the kind"},
    {"*2", "'*2' is no device", "begin with the kind"},
    {"=", "'=' is no device", "begin with the kind"},
    {"2*host", "'2' is no kind", "host*2"},
    {"host*0", "'0' is no number of devices", "N from 1 to 64"},
    {"host*65", "'65' is no number of devices", "N from 1 to 64"},
    {"host*-1", "'-1' is no number", "N from 1 to 64"},
    {"host*1.5", "'1.5' is no number", "N from 1 to 64"},
    {"host*", "'' is no number", "N from 1 to 64"},
    {"host*x", "'x' is no number", "N from 1 to 64"},
    {"host*2*2", "'2*2' is no number", "N from 1 to 64"},
    {"host*99999999999999999999", "is no number", "N from 1 to 64"},
    {"host *2", "'*2' stands alone", "without blanks"},
    {"host 2", "unknown key '2'", "known are mem, link, threads and pace"},
    {"host*2 men=8MiB", "unknown key 'men'", "did you mean 'mem'"},
    {"host*2 memory=8MiB", "unknown key 'memory'", "known are mem, link, threads and pace"},
    {"host*2 lnik=1GB/s", "unknown key 'lnik'", "did you mean 'link'"},
    {"host*2 thread=2", "unknown key 'thread'", "did you mean 'threads'"},
    {"host*2 Mem=8MiB", "unknown key 'Mem'", "did you mean 'mem'"},
    {"host*2 =8MiB", "unknown key ''", "known are"},
    {"host*2 mem", "mem has no value", "write mem=8MiB"},
    {"host*2 mem=", "mem has no value", "write mem=8MiB"},
    {"host*2 mem = 8MiB", "mem has no value", "without blanks"},
    {"host*2 mem=8MB/s", "mem=8MB/s is no size", "mem=8MiB"},
    {"host*2 mem=8Mib", "mem=8Mib is no size", "mem=8MiB"},
    {"host*2 mem=-8MiB", "mem=-8MiB is no size", "mem=8MiB"},
    {"host*2 mem=lots", "mem=lots is no size", "mem=8MiB"},
    {"host*2 mem=0", "mem=0 is less than a device needs", "the least is mem=4KiB"},
    {"host*2 mem=4095", "mem=4095 is less than a device needs", "mem=4KiB"},
    {"host*2 mem=8MiB mem=8MiB", "mem is given twice", "keep one"},
    {"host*64 mem=1000000TiB", "more than can be addressed", "write less"},
    {"host*1 mem=99999999TiB", "is no size", "mem=8MiB"},
    {"host*2 link=1GB", "link=1GB is no rate", "link=1GB/s"},
    {"host*2 link=fast", "link=fast is no rate", "link=1GB/s"},
    {"host*2 link=0B/s", "would never finish", "leave link out"},
    {"host*2 threads=0", "threads=0 is no number of threads", "1 to 256"},
    {"host*2 threads=257", "threads=257 is no number of threads", "1 to 256"},
    {"host*2 threads=two", "threads=two is no number of threads", "1 to 256"},
    {"host*2 threads=+2", "threads=+2 is no number of threads", "1 to 256"},
    {"host*2 pace=real", "pace=real is unknown", "pace=model"},
    {"host*2 pace=model pace=model", "pace is given twice", "keep one"},
    {"host*2,mem=8MiB", "is no number of devices", "N from 1 to 64"},
    {"host*2 mem=8MiB,link=1GB/s", "is no size", "mem=8MiB"},
    {"host*2 mem=8MiB; link=1GB/s", "is no size", "mem=8MiB"},
    {"host*2\nmem=8MiB", "is no number of devices", "N from 1 to 64"},
};

struct sim {
    const char *text;
    const char *canonical;
    uint32_t count, hosts, parts;
};

static const struct sim sims[] = {
    {"sim:h200", "sim:h200*1", 1, 1, 1},
    {"sim:h200*8", "sim:h200*8", 8, 1, 1},
    {"sim:h200*8 mem=24GB link=25GB/s", "sim:h200*8 mem=24GB link=25GB/s", 8, 1, 1},
    {"sim:h200*1024 hosts=128", "sim:h200*1024 hosts=128", 1024, 128, 1},
    {"sim:h200*8 hosts=1", "sim:h200*8", 8, 1, 1},
    {"sim:h200*6+a100*2  hosts=4", "sim:h200*6+a100*2 hosts=4", 8, 4, 2},
    {"sim:a+b*2+a*3+c", "sim:a*1+b*2+a*3+c*1", 7, 1, 4},
    {"sim:./my/own_one-2.yaml*2", "sim:./my/own_one-2.yaml*2", 2, 1, 1},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

Test(machine, reads_good_strings)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct spw_machine machine;
        struct spw_error error = {0};
        cr_assert(spw_machine_parse(good[i].text, "--machine", &error, &machine) == SPW_OK,
                  "'%s': %s", good[i].text, error.what);
        cr_assert(machine.kind == SPW_MACHINE_HOST);
        cr_assert(machine.device_count == good[i].count, "'%s'", good[i].text);
        cr_assert(machine.mem_bytes == good[i].mem, "'%s'", good[i].text);
        cr_assert(machine.link_bytes_per_s == good[i].link, "'%s'", good[i].text);
        cr_assert(machine.threads == good[i].threads, "'%s'", good[i].text);
        cr_assert(machine.pace_model == good[i].pace, "'%s'", good[i].text);
    }
}

Test(machine, prints_them_in_canonical_form)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct spw_machine machine;
        struct spw_machine again;
        char text[SPW_MACHINE_TEXT_MAX];
        cr_assert(spw_machine_parse(good[i].text, "--machine", NULL, &machine) == SPW_OK);
        spw_machine_print(&machine, text);
        cr_assert(strcmp(text, good[i].canonical) == 0, "'%s' is printed '%s'", good[i].text, text);
        cr_assert(spw_machine_parse(text, "--machine", NULL, &again) == SPW_OK, "'%s'", text);
        cr_assert(memcmp(&machine, &again, sizeof(machine)) == 0, "'%s'", text);
    }
}

Test(machine, refuses_bad_strings)
{
    cr_assert(COUNT(good) + COUNT(bad) >= 80);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct spw_machine machine;
        struct spw_error error = {0};
        memset(&machine, 0x5a, sizeof(machine));
        const struct spw_machine before = machine;
        cr_assert(spw_machine_parse(bad[i].text, "fashion.yaml:4:10", &error, &machine) ==
                      SPW_ERR_USAGE,
                  "'%s' was taken", bad[i].text);
        cr_assert(memcmp(&machine, &before, sizeof(machine)) == 0, "'%s'", bad[i].text);
        cr_assert(strncmp(error.what, "fashion.yaml:4:10: machine '", 28) == 0, "'%s': %s",
                  bad[i].text, error.what);
        cr_assert(strstr(error.what, bad[i].why) != NULL, "'%s': %s", bad[i].text, error.what);
        cr_assert(strstr(error.what, bad[i].cure) != NULL, "'%s': %s", bad[i].text, error.what);
    }
}

Test(machine, reads_and_prints_simulated_ones)
{
    for (size_t i = 0; i < COUNT(sims); i++) {
        struct spw_machine machine, again;
        struct spw_error error = {0};
        char text[SPW_MACHINE_TEXT_MAX];
        cr_assert(spw_machine_parse(sims[i].text, "--machine", &error, &machine) == SPW_OK, "%s",
                  error.what);
        cr_assert(machine.kind == SPW_MACHINE_SIM && machine.device_count == sims[i].count);
        cr_assert(machine.hosts == sims[i].hosts && machine.part_count == sims[i].parts);
        spw_machine_print(&machine, text);
        cr_assert(strcmp(text, sims[i].canonical) == 0, "'%s' is printed '%s'", sims[i].text, text);
        cr_assert(spw_machine_parse(text, "--machine", NULL, &again) == SPW_OK, "'%s'", text);
        cr_assert(memcmp(&machine, &again, sizeof(machine)) == 0, "'%s'", text);
    }
}

Test(machine, devices_belong_to_parts_and_hosts)
{
    struct spw_machine machine;
    cr_assert(spw_machine_parse("sim:a*3+b*1+c*4 hosts=4", "", NULL, &machine) == SPW_OK);
    const uint32_t parts[] = {0, 0, 0, 1, 2, 2, 2, 2};
    const uint32_t hosts[] = {0, 0, 1, 1, 2, 2, 3, 3};
    for (uint32_t i = 0; i < 8; i++) {
        cr_assert(spw_machine_part_of(&machine, i) == parts[i], "%u", i);
        cr_assert(spw_machine_host_of(&machine, i) == hosts[i], "%u", i);
    }
    /* One made by hand has one part and one host. */
    const struct spw_machine plain = {.kind = SPW_MACHINE_SIM, .device_count = 5};
    cr_assert(spw_machine_part_of(&plain, 4) == 0 && spw_machine_host_of(&plain, 4) == 0);
}

Test(machine, the_longest_machine_fits_its_buffer)
{
    struct spw_machine machine, again;
    char text[SPW_MACHINE_TEXT_MAX], word[400] = "sim:";
    for (int part = 0; part < SPW_MACHINE_PARTS_MAX; part++) {
        for (int i = 0; i < SPW_MACHINE_NAME_MAX - 1; i++) {
            (void)strcat(word, "n");
        }
        (void)strcat(word, part + 1 < SPW_MACHINE_PARTS_MAX ? "*256+" : "*256");
    }
    cr_assert(spw_machine_parse(word, "", NULL, &machine) == SPW_OK);
    machine.mem_bytes = INT64_MAX / 1024;
    machine.link_bytes_per_s = INT64_MAX;
    machine.hosts = 1024;
    spw_machine_print(&machine, text);
    cr_assert(strlen(text) < SPW_MACHINE_TEXT_MAX - 1);
    cr_assert(spw_machine_parse(text, "", NULL, &again) == SPW_OK);
    cr_assert(memcmp(&machine, &again, sizeof(machine)) == 0);
}

Test(machine, words_have_an_end)
{
    struct spw_machine machine;
    struct spw_error error = {0};
    char text[500] = "host";
    while (strlen(text) < 400) {
        (void)strcat(text, "aaaaaaaaaa");
    }
    cr_assert(spw_machine_parse(text, "", &error, &machine) == SPW_ERR_USAGE);
    cr_assert(strstr(error.what, "is too long; separate words") != NULL, "%s", error.what);
}

/* The whole text of a message, once. */
Test(machine, says_it_in_one_sentence)
{
    struct spw_machine machine;
    struct spw_error error = {0};
    cr_assert(spw_machine_parse("host*2 men=8MiB", "--machine", &error, &machine) == SPW_ERR_USAGE);
    cr_assert(strcmp(error.what, "--machine: machine 'host*2 men=8MiB': unknown key 'men'; did "
                                 "you mean 'mem'?") == 0,
              "%s", error.what);
}

/* Random numbers in every field survive printing and reading, and fit the buffer. */
Test(machine, reads_what_it_prints)
{
    for (uint32_t i = 0; i < 5000; i++) {
        const uint64_t low = spw_random_word(1, i, 0);
        const uint64_t high = spw_random_word(1, i, 1);
        const uint32_t draw = spw_random_word(1, i, 2);
        const struct spw_machine machine = {
            .kind = SPW_MACHINE_HOST,
            .device_count = 1 + draw % 64,
            .mem_bytes = 4096 + ((high << 32 | low) >> (8 + (draw >> 8) % 50)),
            .link_bytes_per_s = 1 + ((low << 32 | high) >> (2 + (draw >> 16) % 60)),
            .threads = 1 + (draw >> 24),
            .hosts = 1,
            .pace_model = (low & 1) != 0,
        };
        struct spw_machine again;
        struct spw_error error = {0};
        char text[SPW_MACHINE_TEXT_MAX];
        spw_machine_print(&machine, text);
        const enum spw_status status = spw_machine_parse(text, "--machine", &error, &again);
        if (machine.mem_bytes > (uint64_t)INT64_MAX / machine.device_count) {
            cr_assert(status == SPW_ERR_USAGE, "%s", text);
            continue;
        }
        cr_assert(status == SPW_OK, "%s", error.what);
        cr_assert(again.device_count == machine.device_count, "%s", text);
        cr_assert(again.mem_bytes == machine.mem_bytes, "%s", text);
        cr_assert(again.link_bytes_per_s == machine.link_bytes_per_s, "%s", text);
        cr_assert(again.threads == machine.threads, "%s", text);
        cr_assert(again.pace_model == machine.pace_model, "%s", text);
    }
}
